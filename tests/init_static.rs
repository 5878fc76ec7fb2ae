//! `relpack init` for static sites: one that was built or written by hand is packed, the sources of one are not.

use crate::common::{fails, write};
use crate::projects::{Files, forget, in_the_file, init, packed, project, source, written};

/// The tools' own servers are for development, and their sources are no site.
#[test]
fn a_site_that_nobody_built_is_not_packed() {
    const VITE: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"dev": "vite", "build": "tsc -b && vite build"}}"#,
        ),
        ("index.html", "<script type=module src=/src/main.ts></script>"),
        ("src/main.ts", "x"),
        ("package-lock.json", "{}"),
    ];
    const REACT: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "react-scripts start", "build": "react-scripts build"}}"#,
        ),
        ("public/index.html", "<link href=\"%PUBLIC_URL%/favicon.ico\">"),
        ("src/index.js", "x"),
        ("node_modules/.bin/react-scripts", "x"),
    ];
    const DOCUSAURUS: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "docusaurus start", "build": "docusaurus build"}}"#,
        ),
        ("src/index.js", "x"),
        ("yarn.lock", ""),
        ("node_modules/.bin/docusaurus", "x"),
    ];
    const ANGULAR: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "ng serve", "build": "ng build"}}"#,
        ),
        ("src/index.html", "x"),
        ("pnpm-lock.yaml", ""),
    ];
    for (files, command, built, place) in [
        (VITE, "`npm ci && npm run build`", "dist/index.html", "dist"),
        (REACT, "`npm run build`", "build/index.html", "build"),
        (DOCUSAURUS, "`yarn run build`", "build/index.html", "build"),
        (
            ANGULAR,
            "`pnpm install && pnpm run build`",
            "dist/shop/browser/index.html",
            "dist/shop/browser",
        ),
    ] {
        let temp = project(files);
        for args in [&[][..], &["--runtime", "static"]] {
            let said = fails(init(temp.path()).args(args), 1);
            assert!(
                said.contains("package.json\" tells of a build that is not there yet"),
                "{said}"
            );
            assert!(said.contains(&format!("run {command} first, and init again")), "{said}");
            assert!(!temp.path().join("relpack.toml").exists());
        }
        write(&temp.path().join(built), "<p>hello</p>\n", 0o644);
        let (config, said) = written(temp.path(), &[]);
        assert_eq!((source(&config), said.as_str()), (place, ""));
        let shown = packed(temp.path());
        assert!(
            shown.contains(" ./index.html\n") && !shown.contains("package.json"),
            "{shown}"
        );
    }
}

/// A script may build a part of it only.
#[test]
fn a_site_that_is_written_by_hand_is_packed_and_its_script_named() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"build": "tailwindcss -o site.css"}}"#,
        ),
        ("index.html", "<script src=\"src/main.js\"></script>"),
        ("src/main.js", "x"),
        ("site.css", "x"),
        ("node_modules/a/index.js", "x"),
    ]);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(source(&config), ".");
    assert!(
        said.contains("(`tailwindcss -o site.css`) makes one, run `npm run build` first"),
        "{said}"
    );
    in_the_file(temp.path(), "run `npm run build` first");
    let shown = packed(temp.path());
    assert!(
        shown.contains("src/main.js") && !shown.contains("node_modules"),
        "{shown}"
    );
    // Its pages may use what npm brought.
    forget(temp.path());
    write(
        &temp.path().join("index.html"),
        "<script src=\"node_modules/a/index.js\"></script>",
        0o644,
    );
    written(temp.path(), &[]);
    assert!(packed(temp.path()).contains("node_modules/a/index.js"));
}
