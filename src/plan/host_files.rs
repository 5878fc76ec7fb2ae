//! Decides what dpkg puts on the host beside the payload, and renders it.

use std::collections::BTreeSet;

use crate::config::{Config, Proxy};
use crate::model::{AbsPath, ReleaseId};
use crate::scripts::{self, Packager, ScriptError, Tokens, template};
use crate::systemd::Unit;

use super::{Form, Plan, Sizes, bound_text, documents};

/// One entry of the package's data archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Where it lies on the host.
    pub path: AbsPath,
    /// What it is.
    pub kind: HostFileKind,
}

/// What a host file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostFileKind {
    /// An empty directory, 0755.
    Dir,
    /// A file with its mode.
    File(u32, Vec<u8>),
    /// A symlink with its target.
    Symlink(String),
}

/// What the templates need of the configuration.
#[derive(Debug, Clone)]
pub struct Inputs {
    documents: documents::Inputs,
    sysusers: Option<String>,
    tmpfiles: String,
    env_file: String,
    made_dirs: String,
    service_dirs: String,
    /// Unit names.
    instances: Vec<String>,
    nginx: bool,
    purge_shared: bool,
}

impl Inputs {
    /// Takes what is needed.
    pub fn new(config: &Config) -> Self {
        let package = &config.package;
        let directories = directories(config);
        Self {
            documents: documents::Inputs::new(config),
            sysusers: config.user.create.then(|| sysusers(config)),
            tmpfiles: directories
                .iter()
                .map(|(path, rest)| format!("d {} {rest}", tmpfiles_path(path)))
                .collect::<Vec<_>>()
                .join("\n"),
            env_file: if config.env.present {
                config.env.file.to_string()
            } else {
                String::new()
            },
            made_dirs: directories
                .iter()
                .map(|(path, _)| path.to_string())
                .collect::<Vec<_>>()
                .join("\n"),
            instances: config
                .instances
                .keys()
                .map(|instance| format!("{}@{instance}.service", config.package.name))
                .collect(),
            nginx: matches!(config.deploy.proxy, Proxy::Nginx { .. }),
            service_dirs: service_dirs(&config.units).join(" "),
            purge_shared: package.purge_shared,
        }
    }

    /// The tokens of the shell templates.
    pub fn tokens(&self, plan: &Plan, id: &ReleaseId, sizes: Sizes) -> Tokens {
        let units: Vec<&str> = plan
            .units
            .iter()
            .filter(|unit| unit.relpack.enable)
            .map(|unit| unit.name.as_str())
            .chain(self.instances.iter().map(String::as_str))
            .collect();
        // Room for the payload, the release, and some slack for blocks and directories.
        let need = (sizes.payload + sizes.staged) / 1024 * 21 / 20 + 1024;
        Tokens::default()
            .word("NAME", plan.name.as_str())
            .word("PREFIX", plan.prefix.as_str())
            .word("VERSION", plan.version.as_str())
            .word("ID", id.as_str())
            .word("PAYLOAD", &payload_word(plan.form))
            .raw("NEED_KIB", need)
            .raw("FAULT", ":")
            .word("ENV_FILE", &self.env_file)
            .word("MADE_DIRS", &self.made_dirs)
            .word("SERVICE_DIRS", &self.service_dirs)
            .word("UNITS", &units.join(" "))
            .raw("PURGE_SHARED", if self.purge_shared { "yes" } else { "no" })
    }

    /// All host files but the payload, in no particular order.
    pub fn files(
        &self,
        plan: &Plan,
        id: &ReleaseId,
        packager: Packager,
        tokens: &Tokens,
    ) -> Result<Vec<HostFile>, ScriptError> {
        let name = &plan.name;
        let mut files = Vec::new();
        let mut put = |path: String, kind: HostFileKind| {
            files.push(HostFile {
                path: absolute(&path),
                kind,
            })
        };
        let plain = |text: String| HostFileKind::File(0o644, text.into_bytes());
        let program = |text: String| HostFileKind::File(0o755, text.into_bytes());
        put(format!("{}/app", plan.prefix), HostFileKind::Dir);
        for unit in &plan.units {
            put(
                format!("/usr/lib/systemd/system/{}", unit.name),
                plain(bound_text(unit, id)),
            );
        }
        for drop_in in &plan.drop_ins {
            put(
                format!("/usr/lib/systemd/system/{}", drop_in.path()),
                plain(drop_in.file.render()),
            );
        }
        put(
            format!("/usr/lib/systemd/system-generators/relpack-{name}"),
            program(scripts::render(template::GENERATOR, tokens)?),
        );
        put(
            format!("/usr/bin/{name}-release"),
            program(scripts::render_for(packager, template::RELEASE, tokens)?),
        );
        let text = Tokens::default().raw("PACKAGE", name);
        if let Some(lines) = &self.sysusers {
            let rendered = scripts::render(template::SYSUSERS, &text.clone().raw("LINES", lines))?;
            put(format!("/usr/lib/sysusers.d/{name}.conf"), plain(rendered));
        }
        let rendered = scripts::render(template::TMPFILES, &text.clone().raw("LINES", &self.tmpfiles))?;
        put(format!("/usr/lib/tmpfiles.d/{name}.conf"), plain(rendered));
        if self.nginx {
            put(
                format!("/usr/share/{name}/nginx.conf"),
                plain(scripts::render(template::NGINX, &text)?),
            );
        }
        // A tarball's install makes them by the settings.
        for (path, to) in plan.links.iter().filter(|_| packager == Packager::Dpkg) {
            put(path.to_string(), HostFileKind::Symlink(to.clone()));
        }
        for (path, bytes) in self.documents.files(plan, id)? {
            put(path, HostFileKind::File(0o644, bytes));
        }
        Ok(files)
    }
}

/// The tarball's own scripts.
pub fn tarball_scripts(tokens: &Tokens) -> Result<Vec<(&'static str, String)>, ScriptError> {
    [template::INSTALL, template::ROLLBACK, template::UNINSTALL]
        .into_iter()
        .map(|script| Ok((script.name, scripts::render_for(Packager::Tarball, script, tokens)?)))
        .collect()
}

/// What the payload's name ends with: nothing where it travels as files.
fn payload_word(form: Form) -> String {
    match form {
        Form::Files => String::new(),
        Form::Archive(compression) => format!(".tar.{}", compression.suffix()),
    }
}

/// The four maintainer scripts.
pub fn maintainer_scripts(tokens: &Tokens) -> Result<Vec<(&'static str, String)>, ScriptError> {
    [template::PREINST, template::POSTINST, template::PRERM, template::POSTRM]
        .into_iter()
        .map(|script| Ok((script.name, scripts::render(script, tokens)?)))
        .collect()
}

/// A path below another that cannot fail, since both parts are ours.
pub fn below(base: &AbsPath, rest: &str) -> AbsPath {
    absolute(&format!("{base}/{rest}"))
}

fn absolute(path: &str) -> AbsPath {
    path.parse().expect("paths on the host are made of validated names")
}

/// Directories that outlive releases, parents first, with the rest of their tmpfiles.d line.
fn directories(config: &Config) -> Vec<(AbsPath, String)> {
    let shared = below(&config.release.prefix, "shared");
    let mut found = vec![(shared.clone(), "0755 root root -".to_owned())];
    let mut seen = BTreeSet::from([shared.clone()]);
    for directory in &config.directories {
        seen.insert(directory.path.clone());
        found.push((
            directory.path.clone(),
            format!("{:04o} {} {} -", directory.mode, directory.user, directory.group),
        ));
    }
    for target in config.shared.links.values() {
        let path = below(&shared, target);
        // A link to the environment file is to a file, which the host's scripts make.
        if path != config.env.file && seen.insert(path.clone()) {
            found.push((path, format!("0750 {} {} -", config.user.name, config.user.group)));
        }
    }
    found.sort();
    found
}

/// tmpfiles.d(5): specifiers are expanded and fields are quoted.
fn tmpfiles_path(path: &AbsPath) -> String {
    let text = path.as_str().replace('%', "%%");
    if text.contains([' ', '"', '\'']) {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text
    }
}

fn sysusers(config: &Config) -> String {
    let user = &config.user;
    let about = config.package.synopsis.replace(['"', '\\', ':', '%'], " ");
    let (mut lines, id) = if user.group.as_str() == user.name.as_str() {
        (Vec::new(), "-".to_owned())
    } else {
        (vec![format!("g {} -", user.group)], format!("-:{}", user.group))
    };
    lines.push(format!("u {} {id} \"{about}\" {}", user.name, user.home));
    lines.join("\n")
}

/// What systemd makes for services (`StateDirectory=` and its like), to be removed at purge where it is empty.
fn service_dirs(units: &[Unit]) -> Vec<String> {
    let bases = [
        ("StateDirectory", "/var/lib"),
        ("CacheDirectory", "/var/cache"),
        ("LogsDirectory", "/var/log"),
        ("ConfigurationDirectory", "/etc"),
    ];
    let mut found = BTreeSet::new();
    for unit in units {
        for (directive, base) in bases {
            for value in unit.file.get_list("Service", directive) {
                for word in value.split_whitespace().filter(|word| !word.contains(['%', '"', '\\'])) {
                    let name = word.split(':').next().unwrap_or(word);
                    found.insert(format!("{base}/{name}"));
                }
            }
        }
    }
    found.into_iter().rev().collect()
}
