//! The lints of what units, health checks, deploys and migrations execute: that it is there, that it can be executed, and
//! that it is what was meant.

use std::collections::BTreeSet;
use std::fs;

use crate::common::write;
use crate::lints::{BASE, check, check_text, named, release};
use relpack::model::Lint;

#[test]
fn what_an_interpreter_or_a_deploy_runs_has_to_be_there() {
    let refused = |text: &str, says: &str| {
        let (status, found) = check_text(text);
        let missing = named(&found, Lint::ExecMissing);
        assert_eq!((status, missing.len()), (1, 1), "{text}\n{found:#?}");
        assert!(missing[0]["message"].as_str().unwrap().contains(says), "{missing:#?}");
        assert!(missing[0]["line"].is_u64(), "{missing:#?}");
    };
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    for (lines, says) in [
        ("Service.ExecStart = \"/usr/bin/node servre.js\"", "runs servre.js"),
        (
            "Service.ExecStart = \"/usr/bin/python3 {app}/bin/none.py --x\"",
            "runs bin/none.py",
        ),
        ("Service.ExecStart = \"/usr/bin/java -jar none.jar\"", "runs none.jar"),
        ("Service.ExecStart = [\"\", \"-/bin/sh start\"]", "runs start"),
        (
            "Service.ExecStart = \"bin/serve\"\nService.WorkingDirectory = \"{app}/none\"",
            "WorkingDirectory= is none",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node serve\"\nService.WorkingDirectory = \"{app}/lib\"",
            "runs lib/serve",
        ),
        (
            "Service.ExecStart = \"bin/serve\"\nX-Relpack.Health = \"exec:bin/healthy --x\"",
            "Health= runs bin/healthy",
        ),
        (
            "Service.ExecStart = \"/usr/bin/env -i A=1 node servre.js\"",
            "runs servre.js",
        ),
        ("Service.ExecStart = \"/usr/bin/env bin/sevre\"", "runs bin/sevre"),
        (
            "Service.ExecStart = \"@/usr/bin/node server.js servre.js\"",
            "runs servre.js",
        ),
        (
            "Service.Type = \"oneshot\"\nService.ExecStart = \"bin/serve ; bin/sevre\"",
            "runs bin/sevre",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node lib/../servre.js\"",
            "runs servre.js",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node ../none.js\"\nService.WorkingDirectory = \"{app}/lib\"",
            "runs none.js",
        ),
        (
            "Service.ExecStart = \"/bin/sh {app}/none\"\nService.WorkingDirectory = \"/srv\"",
            "runs none",
        ),
    ] {
        refused(&unit(lines), says);
    }
    let serve = unit("Service.ExecStart = \"bin/serve\"");
    refused(
        &format!("{serve}[migrate]\nexec = \"/usr/bin/node none.js\"\nlike = \"acme.service\"\n"),
        "migrate.exec: runs none.js",
    );
    let two = "[units.\"acme@.service\"]\nService.ExecStart = \"bin/serve\"\n[instances.a]\n[instances.b]\n";
    refused(
        &format!("{two}[deploy]\nstrategy = \"rolling\"\ncheck = \"bin/smoke\"\n"),
        "deploy.check: runs bin/smoke",
    );
    // What only the host or the interpreter knows is theirs.
    for lines in [
        "Service.ExecStart = \"/usr/bin/node --require ./none server.js\"",
        "Service.ExecStart = \"/usr/bin/python3 -m http.server\"",
        "Service.ExecStart = \"/usr/bin/sh -c none\"",
        "Service.ExecStart = \"/usr/bin/node ${SCRIPT}\"",
        "Service.ExecStart = \"/usr/bin/node /srv/none.js\"",
        "Service.ExecStart = \"/usr/bin/node none.js\"\nService.WorkingDirectory = \"/srv\"",
        "Service.ExecStart = \"/usr/bin/node lib/module\"",
        "Service.ExecStart = \"/usr/bin/python3 lib\"",
        "Service.ExecStart = \"/usr/bin/node .\"",
        "Service.ExecStart = \"/usr/bin/env -C /srv node none.js\"",
        "Service.ExecStart = \"/usr/bin/env -C /srv bin/none\"",
        "Service.ExecStart = \"/usr/bin/env A=1 node server.js\"",
        "Service.ExecStart = \"@/usr/bin/node none server.js\"",
        "Service.ExecStart = \"/usr/bin/node lib/../server.js\"",
        "Service.ExecStart = \"/usr/bin/node ../shared/none.js\"",
        "Service.ExecStart = \"/usr/bin/node ../../../srv/none.js\"",
        "Service.ExecStart = \"/usr/bin/node venv/bin/python3/../none.js\"",
        "Service.ExecStart = \"/usr/bin/node ../server.js\"\nService.WorkingDirectory = \"{app}/lib\"",
        "Service.ExecStart = \"/usr/bin/node ../none.js\"\nService.WorkingDirectory = \"{prefix}/current\"",
    ] {
        let (_, found) = check_text(&unit(lines));
        assert!(named(&found, Lint::ExecMissing).is_empty(), "{lines}\n{found:#?}");
    }
    let (_, found) = check_text(&unit("Service.ExecStart = \"node server.js\""));
    let hint = named(&found, Lint::ExecMissing)[0]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("such as \"/usr/bin/node\""), "{hint}");
}

#[test]
fn what_lies_nowhere_below_the_prefix_is_refused() {
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    let with = |line: &str| unit(&format!("Service.ExecStart = \"bin/serve\"\n{line}"));
    let two = "[units.\"acme@.service\"]\nService.ExecStart = \"bin/serve\"\n[instances.a]\n[instances.b]\n";
    let deploy = format!("{two}[deploy]\nstrategy = \"rolling\"\ncheck = \"/opt/acme/bin/serve\"\n");
    let migrate = format!(
        "{}[migrate]\nexec = \"/opt/acme/bin/serve up\"\nlike = \"acme.service\"\n",
        with("")
    );
    for (text, says, hint) in [
        (
            unit("Service.ExecStart = \"/opt/acme/bin/serve x\""),
            "ExecStart= runs /opt/acme/bin/serve, which no host has",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"-/opt/acme/releases/x/bin/serve\""),
            "runs /opt/acme/releases/x/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"{prefix}/run\""),
            "runs /opt/acme/run",
            "without a leading",
        ),
        (
            with("Service.ExecStartPre = [\"bin/serve\", \"/opt/acme/build/bin/serve\"]"),
            "ExecStartPre= runs /opt/acme/build/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node /opt/acme/server.js\""),
            "runs /opt/acme/server.js",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node server.js\"\nService.WorkingDirectory = \"{prefix}\""),
            "runs /opt/acme/server.js",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node ../server.js\""),
            "runs /opt/acme/server.js, which no host has",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/home/ci/acme/bin/serve x\""),
            "runs /home/ci/acme/bin/serve, which no host has",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/env /root/.nvm/bin/tool\""),
            "runs /root/.nvm/bin/tool",
            "below /usr/local",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/env node /home/ci/acme/server.js\""),
            "runs /home/ci/acme/server.js, which no host has",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/python3 /home/ci/none.py\""),
            "runs /home/ci/none.py",
            "below /usr/local",
        ),
        (
            with("X-Relpack.Health = \"exec:/home/ci/acme/bin/serve --x\""),
            "Health= runs /home/ci/acme/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            with("Service.WorkingDirectory = \"/opt/acme/build\""),
            "WorkingDirectory= is /opt/acme/build",
            "\"{app}/…\"",
        ),
        (
            with("Service.WorkingDirectory = \"/opt/acme/lib\""),
            "WorkingDirectory= is /opt/acme/lib",
            "write \"{app}/lib\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/.env\""),
            "EnvironmentFile= is /opt/acme/.env, which no host has",
            "\"{shared}/.env\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/plain.env\""),
            "EnvironmentFile= is /opt/acme/plain.env",
            "\"{app}/plain.env\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/app/plain.env\""),
            "reads before the release is mounted there",
            "\"{app}/plain.env\"",
        ),
        (
            with("Service.EnvironmentFile = [\"{shared}/env\", \"{app}/none.env\"]"),
            "EnvironmentFile= is none.env, which is not in the release",
            "build it first",
        ),
        (
            with("X-Relpack.Health = \"exec:/opt/acme/bin/serve --x\""),
            "Health= runs /opt/acme/bin/serve",
            "write \"bin/serve\"",
        ),
        (deploy, "deploy.check: runs /opt/acme/bin/serve", "write \"bin/serve\""),
        (migrate, "migrate.exec: runs /opt/acme/bin/serve", "write \"bin/serve\""),
    ] {
        let (status, found) = check_text(&text);
        let missing = named(&found, Lint::ExecMissing);
        assert_eq!((status, missing.len()), (1, 1), "{text}\n{found:#?}");
        let word = |key: &str| missing[0][key].as_str().unwrap();
        assert!(word("message").contains(says), "{missing:#?}");
        assert!(word("hint").contains(hint), "{missing:#?}");
        assert!(missing[0]["line"].is_u64(), "{missing:#?}");
    }
    for text in [
        unit("Service.ExecStart = \"/opt/acme/app/bin/serve\""),
        unit("Service.ExecStart = \"/opt/acme/current/bin/serve\""),
        unit("Service.ExecStart = \"{shared}/bin/of-the-host\""),
        unit("Service.ExecStart = \"/opt/other/bin/serve\""),
        with("Service.WorkingDirectory = \"{prefix}\""),
        with("Service.WorkingDirectory = \"-/opt/acme/build\""),
        with("Service.WorkingDirectory = \"{shared}/work\""),
        with("Service.EnvironmentFile = \"-/opt/acme/.env\""),
        with("Service.EnvironmentFile = [\"{shared}/env\", \"{app}/plain.env\", \"/opt/acme/current/plain.env\"]"),
        with("Service.WorkingDirectory = \"/home/acme\""),
        with("Service.EnvironmentFile = \"/root/acme.env\""),
        unit(
            "Service.ExecStart = \"/srv/tool\"\nService.BindPaths = \"/srv/ci:/home/ci\"\nService.ExecStartPre = \"/home/ci/x\"",
        ),
        format!(
            "[user]\nhome = \"/home/acme\"\n{}",
            unit("Service.ExecStart = \"/home/acme/bin/x\"")
        ),
        with("Service.WorkingDirectory = \"/opt/acme/data/x\"\nService.BindPaths = \"/srv/data:/opt/acme/data\""),
    ] {
        let (_, found) = check_text(&text);
        assert!(named(&found, Lint::ExecMissing).is_empty(), "{text}\n{found:#?}");
    }
}

/// What a drop-in says is found in its own file.
#[test]
fn drop_ins_name_no_place_that_no_host_has() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let config = BASE.replace("source = \"build\"", "source = \"build\"\nunits = \"units\"");
    write(&temp.path().join("relpack.toml"), &config, 0o644);
    let unit = "[Service]\nExecStart=/opt/acme/app/bin/serve\n";
    write(&temp.path().join("units/acme.service"), unit, 0o644);
    let drop_in = "[Service]\nEnvironmentFile=/opt/acme/env\nExecStartPre=/opt/acme/bin/serve x\nWorkingDirectory=/opt/acme/work\n";
    write(&temp.path().join("units/acme.service.d/10-x.conf"), drop_in, 0o644);
    let (status, found) = check(temp.path());
    let missing = named(&found, Lint::ExecMissing);
    let lines: BTreeSet<u64> = missing.iter().filter_map(|f| f["line"].as_u64()).collect();
    assert_eq!((status, lines), (1, BTreeSet::from([2, 3, 4])), "{found:#?}");
    assert!(
        missing
            .iter()
            .all(|f| f["file"].as_str().unwrap().ends_with("10-x.conf")),
        "{missing:#?}"
    );
}

#[test]
fn only_an_interpreter_that_no_host_has_is_refused() {
    let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"venv/bin/gunicorn\"\n");
    for (line, refused) in [
        ("#!/home/me/acme/venv/bin/python3", true),
        ("#! /opt/acme/venv/bin/python3 -E", true),
        ("#!/opt/acme/app/venv/bin/python3", false),
        ("#!/opt/acme/current/venv/bin/python3", false),
        ("#!/usr/bin/python3", false),
        ("#!/usr/bin/env python3", false),
        // Of another application, which may be there.
        ("#!/opt/tools/bin/python3", false),
        ("#!/opt/acme/shared/python/bin/python3", false),
        // Of one person, or of nobody.
        ("#!/home/me/acme/venv/bin/pypy", true),
        ("#!/usr/bin/env -S /root/.nvm/bin/node -x", true),
        ("#!/tmp/node", true),
        ("#!/opt/acme/python/bin/python3", true),
    ] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(
            &temp.path().join("build/venv/bin/gunicorn"),
            &format!("{line}\n"),
            0o755,
        );
        let (status, found) = check(temp.path());
        let moved = named(&found, Lint::ExecInterpreterMoved);
        assert_eq!(
            (status, moved.len()),
            (i32::from(refused), usize::from(refused)),
            "{line}: {found:#?}"
        );
    }
}

#[test]
fn what_the_kernel_cannot_execute_is_refused() {
    let run = "Service.ExecStart = \"bin/run\"";
    let given = "Service.ExecStart = \"/bin/sh bin/run\"";
    for (line, bytes, says) in [
        (run, &b"#!/bin/sh\r\nexec sleep 1\r\n"[..], Some("ends with \\r")),
        (run, b"exec sleep 1\n", Some("neither an ELF file nor a script")),
        (run, b"", Some("is empty")),
        (run, b"\xef\xbb\xbf#!/bin/sh\n", Some("byte order mark")),
        (run, b"\xcf\xfa\xed\xfe\x0c\0\0\x01", Some("macOS")),
        (run, b"#!/bin/sh\nexec sleep 1\n", None),
        (given, b"exec sleep 1\n", None),
        (given, b"", None),
    ] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        let config = format!("{BASE}[units.\"acme.service\"]\n{line}\n");
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(&temp.path().join("build/bin/run"), "", 0o755);
        fs::write(temp.path().join("build/bin/run"), bytes).unwrap();
        let (status, found) = check(temp.path());
        let own = named(&found, Lint::ExecNotExecutable);
        let refused = says.is_some();
        let expected = (i32::from(refused), usize::from(refused));
        assert_eq!((status, own.len()), expected, "{bytes:?}: {found:#?}");
        if let Some(says) = says {
            assert!(own[0]["message"].as_str().unwrap().contains(says), "{own:#?}");
            assert!(own[0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{own:#?}");
        }
    }
}

/// ELF files are programs whatever they are built for, be it what this host has no loader for.
#[test]
fn programs_of_other_architectures_are_executable() {
    for (machine, bits) in [(62, 2), (183, 2), (40, 1), (243, 2), (8, 1)] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"bin/run\"\n");
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(&temp.path().join("build/bin/run"), "", 0o755);
        let mut elf = vec![0; 64];
        elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', bits, 1, 1]);
        (elf[16], elf[18], elf[20]) = (2, machine, 1);
        fs::write(temp.path().join("build/bin/run"), elf).unwrap();
        let (_, found) = check(temp.path());
        let about: Vec<_> = found
            .iter()
            .filter(|f| f["lint"].as_str().is_some_and(|name| name.starts_with("exec-")))
            .collect();
        assert!(about.is_empty(), "{machine}: {found:#?}");
    }
}

#[test]
fn what_only_a_shell_understands_is_told_wherever_no_shell_reads() {
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    let serve = unit("Service.ExecStart = \"bin/serve\"");
    let migrate = |exec: &str| format!("{serve}[migrate]\nexec = '{exec}'\nlike = \"acme.service\"\n");
    for (text, word, hint) in [
        (
            unit("Service.ExecStart = \"bin/serve && echo > x\""),
            "&&",
            "/bin/sh -c",
        ),
        (unit("Service.ExecStart = \"bin/serve | tee x\""), "|", "/bin/sh -c"),
        (
            unit("Service.ExecStart = \"bin/serve > /x 2>&1\""),
            ">",
            "StandardOutput",
        ),
        (unit("Service.ExecStart = \"bin/serve &\""), "&", "remove it"),
        (
            unit("Service.ExecStart = \"bin/serve\"\nX-Relpack.Health = \"exec:bin/serve --check || x\""),
            "||",
            "script of the release",
        ),
        (migrate("bin/serve up && bin/serve seed"), "&&", "/bin/sh -c"),
    ] {
        let (status, found) = check_text(&text);
        let own = named(&found, Lint::ExecShellSyntax);
        assert_eq!((status, own.len()), (0, 1), "{text}\n{found:#?}");
        let message = own[0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{word:?}")), "{own:#?}");
        assert!(own[0]["hint"].as_str().unwrap().contains(hint), "{own:#?}");
        assert!(own[0]["line"].is_u64(), "{own:#?}");
    }
    for text in [
        unit("Service.ExecStart = \"/bin/sh -c 'bin/serve && echo > x'\""),
        unit("Service.ExecStart = \"bin/serve '&&' >=1 a|b\""),
        unit("Service.Type = \"oneshot\"\nService.ExecStart = \"bin/serve a ; bin/serve b\""),
        migrate("/bin/sh -c \"bin/serve up && bin/serve seed\""),
    ] {
        let (_, found) = check_text(&text);
        assert!(named(&found, Lint::ExecShellSyntax).is_empty(), "{text}\n{found:#?}");
    }
}

#[test]
fn a_runtime_behind_env_compiles_as_well() {
    let (_, found) = check_text(
        "[units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/env A=1 node server.js\"\nService.MemoryDenyWriteExecute = true\n",
    );
    let own = named(&found, Lint::WriteExecuteJit);
    assert_eq!(own.len(), 1, "{found:#?}");
    assert!(
        own[0]["message"].as_str().unwrap().contains("keeps node from"),
        "{own:#?}"
    );
}

#[test]
fn a_main_program_that_its_prefix_lets_run_as_root_is_told() {
    for (line, says) in [
        (
            "\"+bin/serve\"",
            Some("\"+\" lets /opt/acme/app/bin/serve run as root, and without its sandbox"),
        ),
        ("\"-+bin/serve\"", Some("without its sandbox")),
        (
            "\"!bin/serve\"",
            Some("\"!\" lets /opt/acme/app/bin/serve run as root: who"),
        ),
        // Without effect where the kernel has ambient capabilities.
        ("\"!!bin/serve\"", None),
        ("\"-:bin/serve +x !\"", None),
        (
            "\"bin/serve\"\nService.ExecStartPre = \"+bin/serve\"\nService.ExecStop = \"+bin/serve\"",
            None,
        ),
    ] {
        let (status, found) = check_text(&format!("[units.\"acme.service\"]\nService.ExecStart = {line}\n"));
        let own = named(&found, Lint::ServiceAsRoot);
        assert_eq!(
            (status, own.len()),
            (0, usize::from(says.is_some())),
            "{line}: {found:#?}"
        );
        if let Some(says) = says {
            assert!(own[0]["message"].as_str().unwrap().contains(says), "{own:#?}");
            assert_eq!(own[0]["line"], BASE.lines().count() as u64 + 2, "{own:#?}");
        }
    }
}

/// The finding stands at the command that uses the environment, or may lead to it.
#[test]
fn an_editable_install_is_told_at_the_command_that_uses_it() {
    let serve = "Service.ExecStart = \"bin/serve\"";
    let python = "Service.ExecStart = \"editable/bin/python3 -m acme\"";
    let both = format!("[units.\"acme-a.service\"]\n{serve}\n[units.\"acme-b.service\"]\n{python}\n");
    let alone = format!("[units.\"acme-a.service\"]\n{serve} # editable/\n");
    let base = BASE.lines().count() as u64;
    for (text, line) in [(both, base + 4), (alone, base + 2)] {
        let (status, found) = check_text(&text);
        let own = named(&found, Lint::PythonEditableInstall);
        assert_eq!((status, own.len()), (0, 1), "{text}\n{found:#?}");
        assert_eq!(own[0]["line"], line, "{own:#?}");
        let message = own[0]["message"].as_str().unwrap();
        assert!(
            message.contains("_acme.pth") && message.contains("/home/ci/acme/src"),
            "{message}"
        );
    }
    let allow = "[lints]\nallow = { \"python-editable-install\" = \"found in {app}\" }\n";
    let (_, found) = check_text(&format!("{allow}[units.\"acme.service\"]\n{python}\n"));
    let silent = named(&found, Lint::PythonEditableInstall).is_empty() && named(&found, Lint::AllowUnused).is_empty();
    assert!(silent, "{found:#?}");
}
