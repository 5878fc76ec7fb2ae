//! `relpack init` in Java projects: which of the jars that Maven or Gradle built is the program.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::projects::{Files, build, in_the_file, init, packed, project, source, start, written};

/// Archives with a manifest, as Java's own tools write them.
fn jar(path: &Path, manifest: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let code = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as jar:\n    \
        jar.writestr('A.class', 'x')\n    jar.writestr('META-INF/MANIFEST.MF', sys.argv[2])\n";
    ok(Command::new("/usr/bin/python3")
        .args(["-c", code])
        .arg(path)
        .arg(manifest));
}

const STARTS: &str = "Manifest-Version: 1.0\r\nMain-Class: com.example.Main\r\n";

const LIBRARY: &str = "Manifest-Version: 1.0\r\nPremain-Class: x\r\n";

#[test]
fn the_jar_that_is_the_program_is_started() {
    const POM: &str = "<project><!-- <version>9</version> --><artifactId>server</artifactId><version>1</version>\
        <description>Acme&apos;s &amp; others&apos; server</description></project>";
    const GRADLE: Files = &[
        ("build.gradle", "plugins {\n    id 'x' version '3'\n}\nversion = '1'\n"),
        ("settings.gradle", "rootProject.name = 'server'\n"),
    ];
    type Jars = &'static [(&'static str, &'static str)];
    let cases: [(Jars, &str, &str, &str); 8] = [
        (
            &[("a-weaver.jar", LIBRARY), ("server-1.jar", STARTS)],
            "target",
            "server-1.jar",
            "",
        ),
        (
            &[("a-tool.jar", STARTS), ("server-1.jar", STARTS)],
            "target",
            "server-1.jar",
            "",
        ),
        (
            &[("server-1.jar", LIBRARY), ("server-1-runner.jar", STARTS)],
            "target",
            "server-1-runner.jar",
            "",
        ),
        (&[("a.jar", LIBRARY), ("b.jar", STARTS)], "target", "b.jar", ""),
        (
            &[("a.jar", STARTS), ("b.jar", STARTS)],
            "target",
            "a.jar",
            "guessed that the program is target/a.jar: there is b.jar too",
        ),
        (
            &[("server-1.jar", STARTS), ("server-1-all.jar", STARTS)],
            "target",
            "server-1.jar",
            "there is server-1-all.jar too",
        ),
        (
            &[("server-1.jar", LIBRARY)],
            "target",
            "server-1.jar",
            "target/server-1.jar has no Main-Class",
        ),
        (
            &[("server-1.jar", LIBRARY), ("quarkus-app/quarkus-run.jar", STARTS)],
            "target/quarkus-app",
            "quarkus-run.jar",
            "",
        ),
    ];
    for (jars, place, exec, told) in cases {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        write(&dir.join("pom.xml"), POM, 0o644);
        for (name, manifest) in jars {
            jar(&dir.join("target").join(name), manifest);
        }
        let (config, said) = written(dir, &[]);
        assert_eq!(source(&config), place);
        assert_eq!(start(&config), format!("/usr/bin/java -jar {exec}"));
        let package = &config["package"];
        assert_eq!(
            (package["name"].as_str(), package["version"].as_str()),
            (Some("server"), Some("1"))
        );
        assert_eq!(package["description"].as_str(), Some("Acme's & others' server"));
        assert!(
            said.contains(told) && said.is_empty() == told.is_empty(),
            "{jars:?}: {said}"
        );
        if !told.is_empty() {
            in_the_file(dir, told);
        }
        let checked = relpack().args(["check", "-C"]).arg(dir).output().unwrap();
        assert!(!both(&checked).contains("matches nothing"), "{}", both(&checked));
        build(dir);
    }
    let temp = project(GRADLE);
    jar(&temp.path().join("build/libs/server-1.jar"), STARTS);
    jar(&temp.path().join("build/libs/server-1-plain.jar"), LIBRARY);
    jar(&temp.path().join("build/libs/a.jar"), STARTS);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(
        (start(&config).as_str(), said.as_str()),
        ("/usr/bin/java -jar server-1.jar", "")
    );
    assert_eq!(config["package"]["version"].as_str(), Some("1"));
    assert!(!packed(temp.path()).contains("plain"));

    let temp = project(&[
        ("pom.xml", "<project><modules><module>web</module></modules></project>"),
        ("web/target/web-1.jar", "x"),
    ]);
    let said = fails(&mut init(temp.path()), 1);
    assert!(
        said.contains("only holds modules") && said.contains("maybe web"),
        "{said}"
    );
    write(&temp.path().join("pom.xml"), "<project>\n<version>1</versio>", 0o644);
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("pom.xml\", line 2, column"), "{said}");
}
