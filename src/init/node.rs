//! What a Node.js project tells: `package.json`.

use super::look::Dir;
use super::{Runtime, Seen, description, exec_word, least, leave_out, package_name, version};

pub(super) fn look(dir: &Dir) -> Result<Seen, &'static str> {
    let mut seen = Seen::new(Runtime::Node);
    let package = dir.json("package.json").unwrap_or_default();
    let text = |key: &str| package[key].as_str();
    seen.name = text("name").and_then(package_name);
    seen.version = text("version").and_then(version);
    seen.description = text("description").and_then(description);
    seen.depends = vec![match package["engines"]["node"].as_str().and_then(least) {
        Some(least) => format!("nodejs (>= {least})"),
        None => "nodejs".to_owned(),
    }];
    let start = package["scripts"]["start"].as_str();
    let common = [
        "server.js",
        "index.js",
        "app.js",
        "main.js",
        "src/index.js",
        "dist/index.js",
        "dist/main.js",
    ];
    let entry = text("main")
        .map(|main| main.trim_start_matches("./"))
        .filter(|main| dir.has_file(main))
        .or_else(|| common.into_iter().find(|name| dir.has_file(name)));
    let (exec, script) = start
        .and_then(|start| command(dir, start))
        .or_else(|| Some((format!("/usr/bin/node {}", exec_word(entry?)), entry?.to_owned())))
        .ok_or("package.json needs scripts.start or main, naming a file that is there; is it built?")?;
    seen.exec = exec;
    seen.port = dir.text(&script).as_deref().and_then(port);
    // The built program may lie where `relpack build` leaves its packages.
    let packages = if dir.has_dir("dist") { "dist/*.deb" } else { "dist" };
    seen.exclude = vec![leave_out(&[packages, "node_modules/.cache", ".npmrc"])];
    let needs_modules = package["dependencies"].as_object().is_some_and(|list| !list.is_empty());
    if needs_modules && !dir.has_dir("node_modules") {
        seen.notes
            .push("node_modules is not there yet: run `npm ci --omit=dev` before `relpack build`".to_owned());
    }
    Ok(seen)
}

/// `node …`, or a program of node_modules; `None` where it is more than one command.
fn command(dir: &Dir, start: &str) -> Option<(String, String)> {
    if start.contains(['&', '|', ';', '<', '>', '`', '$', '"', '\'', '\\', '*', '(']) {
        return None;
    }
    let mut words = start.split_whitespace();
    let program = words.next()?;
    let rest: Vec<&str> = words.collect();
    let line = |program: &str| {
        let words: Vec<String> = std::iter::once(program)
            .chain(rest.iter().copied())
            .map(exec_word)
            .collect();
        words.join(" ")
    };
    if matches!(program, "node" | "nodejs") {
        let named = rest
            .iter()
            .find(|word| !word.starts_with('-'))?
            .trim_start_matches("./");
        let script = [named.to_owned(), format!("{named}.js"), format!("{named}/index.js")]
            .into_iter()
            .find(|name| dir.has_file(name))?;
        return Some((line("/usr/bin/node"), script));
    }
    let installed = format!("node_modules/.bin/{program}");
    dir.has_file(&installed).then(|| (line(&installed), installed))
}

/// `process.env.PORT || 3000` and its like.
pub(super) fn port(text: &str) -> Option<u16> {
    text.match_indices("PORT").find_map(|(at, word)| {
        let after: String = text[at + word.len()..].chars().take(12).collect();
        let rest = after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '\n');
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        number.parse().ok().filter(|port| *port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_written_beside_the_variable() {
        assert_eq!(port("listen(process.env.PORT || 8123)"), Some(8123));
        assert_eq!(port("PORT ?? '4000'"), Some(4000));
        assert_eq!(port("os.environ.get(\"PORT\", 5000)"), Some(5000));
        assert_eq!(port("PORT\n12345"), None);
        assert_eq!(port("listen(3000)"), None);
    }
}
