//! Owns the rendering of everything that is shell or text on the host: maintainer scripts, the generator, the
//! `<name>-release` command, sysusers.d, tmpfiles.d, documents. Templates are files; a left-over token is fatal.

use std::collections::BTreeMap;

/// The fragments that `@include NAME@` names, one duty each; `activation` and `stopping` are the lists of what several scripts need
/// for that.
const FRAGMENTS: &[(&str, &str)] = &[
    ("activate", include_str!("../maintainer-scripts/lib/activate.sh")),
    ("activation", include_str!("../maintainer-scripts/lib/activation.sh")),
    ("app", include_str!("../maintainer-scripts/lib/app.sh")),
    ("blue-green", include_str!("../maintainer-scripts/lib/blue-green.sh")),
    ("by-dpkg", include_str!("../maintainer-scripts/lib/by-dpkg.sh")),
    ("by-tarball", include_str!("../maintainer-scripts/lib/by-tarball.sh")),
    ("deadline", include_str!("../maintainer-scripts/lib/deadline.sh")),
    ("fault", include_str!("../maintainer-scripts/lib/fault.sh")),
    ("files", include_str!("../maintainer-scripts/lib/files.sh")),
    ("forget", include_str!("../maintainer-scripts/lib/forget.sh")),
    ("heal", include_str!("../maintainer-scripts/lib/heal.sh")),
    ("health", include_str!("../maintainer-scripts/lib/health.sh")),
    (
        "host-instances",
        include_str!("../maintainer-scripts/lib/host-instances.sh"),
    ),
    ("instances", include_str!("../maintainer-scripts/lib/instances.sh")),
    ("journal", include_str!("../maintainer-scripts/lib/journal.sh")),
    ("keep", include_str!("../maintainer-scripts/lib/keep.sh")),
    ("lame-duck", include_str!("../maintainer-scripts/lib/lame-duck.sh")),
    ("links", include_str!("../maintainer-scripts/lib/links.sh")),
    ("lock", include_str!("../maintainer-scripts/lib/lock.sh")),
    ("migrate", include_str!("../maintainer-scripts/lib/migrate.sh")),
    ("names", include_str!("../maintainer-scripts/lib/names.sh")),
    ("pin", include_str!("../maintainer-scripts/lib/pin.sh")),
    ("prepare", include_str!("../maintainer-scripts/lib/prepare.sh")),
    ("proxy", include_str!("../maintainer-scripts/lib/proxy.sh")),
    ("remove", include_str!("../maintainer-scripts/lib/remove.sh")),
    ("resume", include_str!("../maintainer-scripts/lib/resume.sh")),
    ("revert", include_str!("../maintainer-scripts/lib/revert.sh")),
    ("roll", include_str!("../maintainer-scripts/lib/roll.sh")),
    ("room", include_str!("../maintainer-scripts/lib/room.sh")),
    ("say", include_str!("../maintainer-scripts/lib/say.sh")),
    ("settings", include_str!("../maintainer-scripts/lib/settings.sh")),
    ("stage", include_str!("../maintainer-scripts/lib/stage.sh")),
    ("start", include_str!("../maintainer-scripts/lib/start.sh")),
    ("status", include_str!("../maintainer-scripts/lib/status.sh")),
    ("stop-all", include_str!("../maintainer-scripts/lib/stop-all.sh")),
    ("stop", include_str!("../maintainer-scripts/lib/stop.sh")),
    ("stopping", include_str!("../maintainer-scripts/lib/stopping.sh")),
    ("switch", include_str!("../maintainer-scripts/lib/switch.sh")),
    ("systemd", include_str!("../maintainer-scripts/lib/systemd.sh")),
    ("trial", include_str!("../maintainer-scripts/lib/trial.sh")),
    ("units", include_str!("../maintainer-scripts/lib/units.sh")),
];

/// A template that is embedded in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its name in messages.
    pub name: &'static str,
    text: &'static str,
}

/// Who brings a release to a host: `@include packager@` stands for what is different then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packager {
    /// dpkg, and apt above it.
    #[default]
    Dpkg,
    /// A person, with the script in the tarball.
    Tarball,
}

impl Packager {
    fn fragment(self) -> &'static str {
        match self {
            Packager::Dpkg => "by-dpkg",
            Packager::Tarball => "by-tarball",
        }
    }
}

/// Everything that can be rendered.
pub mod template {
    use super::Template;

    macro_rules! templates {
        ($($(#[$doc:meta])* $id:ident = $name:literal, $file:literal;)*) => {
            $($(#[$doc])* pub const $id: Template = Template { name: $name, text: include_str!($file) };)*
            /// Every shell script.
            pub const SCRIPTS: &[Template] = &[PREINST, POSTINST, PRERM, POSTRM, GENERATOR, RELEASE, INSTALL, ROLLBACK, UNINSTALL];
        };
    }

    templates! {
        /// Maintainer script (Debian Policy 6.5).
        PREINST = "preinst", "../maintainer-scripts/preinst.sh";
        /// Maintainer script: the activation.
        POSTINST = "postinst", "../maintainer-scripts/postinst.sh";
        /// Maintainer script.
        PRERM = "prerm", "../maintainer-scripts/prerm.sh";
        /// Maintainer script.
        POSTRM = "postrm", "../maintainer-scripts/postrm.sh";
        /// systemd.generator(7).
        GENERATOR = "generator", "../maintainer-scripts/generator.sh";
        /// `<name>-release`.
        RELEASE = "release", "../maintainer-scripts/release.sh";
        /// In the tarball: the activation, for a person.
        INSTALL = "install", "../maintainer-scripts/install.sh";
        /// In the tarball.
        ROLLBACK = "rollback", "../maintainer-scripts/rollback.sh";
        /// In the tarball, and on the host beside its units.
        UNINSTALL = "uninstall", "../maintainer-scripts/uninstall.sh";
        /// sysusers.d(5).
        SYSUSERS = "sysusers.d", "../pkg-templates/sysusers.d/package.conf";
        /// tmpfiles.d(5).
        TMPFILES = "tmpfiles.d", "../pkg-templates/tmpfiles.d/package.conf";
        /// Machine-readable copyright (Debian Policy 12.5).
        COPYRIGHT = "copyright", "../pkg-templates/doc/copyright";
        /// The package's only changelog entry (Debian Policy 12.7).
        CHANGELOG = "changelog", "../pkg-templates/doc/changelog";
        /// `<name>-release(1)`.
        MAN = "man page", "../pkg-templates/man/release.1";
        /// A server block for an application behind nginx.
        NGINX = "nginx.conf", "../pkg-templates/proxy/nginx.conf";
        /// `relpack.toml` of a Node.js application.
        INIT_NODE = "relpack.toml for node", "../pkg-templates/init/node.toml";
        /// `relpack.toml` of a Python application.
        INIT_PYTHON = "relpack.toml for python", "../pkg-templates/init/python.toml";
        /// `relpack.toml` of a Go program.
        INIT_GO = "relpack.toml for go", "../pkg-templates/init/go.toml";
        /// `relpack.toml` of a Cargo project that has metadata for cargo-deb.
        INIT_CARGO = "relpack.toml for a Cargo project", "../pkg-templates/init/cargo.toml";
        /// Its part for a service that the project has no unit of.
        INIT_CARGO_SERVICE = "the service of a Cargo project", "../pkg-templates/init/cargo-service.toml";
        /// Its part for units that the project brings.
        INIT_CARGO_UNITS = "the units of a Cargo project", "../pkg-templates/init/cargo-units.toml";
        /// `relpack.toml` of a Rust program.
        INIT_RUST = "relpack.toml for rust", "../pkg-templates/init/rust.toml";
        /// `relpack.toml` of a Java application.
        INIT_JAVA = "relpack.toml for java", "../pkg-templates/init/java.toml";
        /// `relpack.toml` of a static site.
        INIT_STATIC = "relpack.toml for static", "../pkg-templates/init/static.toml";
        /// What lintian is told, with reasons.
        LINTIAN = "lintian overrides", "../pkg-templates/lintian/overrides";
    }
}

/// Why a template cannot be rendered: always a mistake in relpack itself.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// `@include x@` names no fragment.
    #[error(
        "template {template} includes unknown fragment {fragment:?} (hint: this is a bug in relpack; please report it)"
    )]
    Fragment {
        /// The template.
        template: &'static str,
        /// What it asked for.
        fragment: String,
    },
    /// A token has no value.
    #[error(
        "template {template}, line {line}: token {token} has no value (hint: this is a bug in relpack; please report it)"
    )]
    Token {
        /// The template.
        template: &'static str,
        /// Line in the rendered text, from 1.
        line: usize,
        /// The token with its `@`.
        token: String,
    },
}

/// The values of tokens. Values for shell templates are quoted by the constructor that takes them.
#[derive(Debug, Default, Clone)]
pub struct Tokens(BTreeMap<&'static str, String>);

impl Tokens {
    /// Adds a value as one shell word.
    pub fn word(mut self, token: &'static str, value: &str) -> Self {
        self.0.insert(token, shell_word(value));
        self
    }

    /// Adds a value as it is: numbers, and text for templates that are not shell.
    pub fn raw(mut self, token: &'static str, value: impl ToString) -> Self {
        self.0.insert(token, value.to_string());
        self
    }
}

/// One word of POSIX shell that expands to the value, whatever it holds.
pub fn shell_word(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Renders a template: fragments first, then tokens.
pub fn render(template: Template, tokens: &Tokens) -> Result<String, ScriptError> {
    render_for(Packager::Dpkg, template, tokens)
}

/// The same for who brings the release.
pub fn render_for(packager: Packager, template: Template, tokens: &Tokens) -> Result<String, ScriptError> {
    let mut text = String::new();
    expand(packager, template.name, template.text, &mut text)?;
    fill(template.name, &text, tokens)
}

/// Writes a text with its fragments filled in, which may include others.
fn expand(packager: Packager, template: &'static str, text: &str, out: &mut String) -> Result<(), ScriptError> {
    const INCLUDE: &str = "@include ";
    for line in text.trim_end().lines() {
        let Some(name) = line.strip_prefix(INCLUDE).and_then(|rest| rest.strip_suffix('@')) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let name = if name == "packager" { packager.fragment() } else { name };
        let (_, body) = FRAGMENTS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ScriptError::Fragment {
                template,
                fragment: name.to_owned(),
            })?;
        // A list of fragments is none itself.
        if !body.starts_with(INCLUDE) {
            out.push('\n');
        }
        expand(packager, template, body, out)?;
    }
    Ok(())
}

/// Replaces `@TOKEN@` (capitals and underscores). `@RELPACK_RELEASE@` stays: the host's own scripts look for it.
fn fill(template: &'static str, text: &str, tokens: &Tokens) -> Result<String, ScriptError> {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        while let Some(at) = rest.find('@') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let length = from[1..]
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(from.len() - 1);
            if length == 0 || !from[1 + length..].starts_with('@') {
                out.push('@');
                rest = &from[1..];
                continue;
            }
            let token = &from[1..1 + length];
            rest = &from[length + 2..];
            match tokens.0.get(token) {
                Some(value) => out.push_str(value),
                None if token == "RELPACK_RELEASE" => out.push_str("@RELPACK_RELEASE@"),
                None => {
                    return Err(ScriptError::Token {
                        template,
                        line: number + 1,
                        token: format!("@{token}@"),
                    });
                }
            }
        }
        out.push_str(rest);
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Template {
        Template { name: "test", text }
    }

    #[test]
    fn a_word_survives_the_shell() {
        for hostile in ["a b", "it's", "$(touch x)", "`x`", "a\\b", "\"", "*"] {
            let tokens = Tokens::default().word("X", hostile);
            let script = render(text("printf %s @X@"), &tokens).unwrap();
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), hostile);
        }
    }

    #[test]
    fn a_left_over_token_is_fatal() {
        let error = render(text("ok\nx @MISSING@"), &Tokens::default()).unwrap_err();
        assert!(error.to_string().contains("line 2: token @MISSING@"), "{error}");
        assert!(render(text("@include nowhere@"), &Tokens::default()).is_err());
    }

    #[test]
    fn at_signs_that_are_no_tokens_stay() {
        let tokens = Tokens::default().raw("A", "1");
        assert_eq!(
            render(text("\"$@\" a@b @A@ @A@@A@ @RELPACK_RELEASE@"), &tokens).unwrap(),
            "\"$@\" a@b 1 11 @RELPACK_RELEASE@\n"
        );
    }
}
