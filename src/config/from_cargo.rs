//! Takes what a Cargo project says where `relpack.toml` says nothing: the file is read as if all of it stood there, and what it
//! says itself wins, key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use tempfile::TempDir;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::cargo_places::{Place, merged, place};
use super::diagnostics::{Problem, printable_path};
use super::documents::is_finished;
use super::reader::{At, Doc, Table};
use crate::cargo::{self, Asset, AssetKind, Project, Request, UnitSettings};
use crate::systemd::{UnitFile, exec};

/// The configuration with what a Cargo project says.
pub(super) struct FromCargo<'i> {
    /// All of it.
    pub(super) root: DeTable<'i>,
    pub(super) taken: Taken,
}

/// The files of a Cargo project.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its `Cargo.toml`, as messages name it.
    pub manifest: PathBuf,
    /// Holds the files of the release; removed with the last copy.
    _staging: Arc<TempDir>,
}

/// What `[release] cargo` asks for.
struct Asked {
    /// Relative to the configuration.
    path: Option<String>,
    package: Option<String>,
    variant: Option<String>,
    target: Option<String>,
    at: Range<usize>,
}

/// Reads the project that `[release] cargo` names; `Ok(None)` without it, `Err` when something is wrong (then it was
/// reported). `dir` is where paths start from, `shown` the same as messages name it.
pub(super) fn take<'i>(
    doc: &Doc,
    root: &DeTable<'i>,
    dir: &Path,
    shown: &Path,
) -> Result<Option<FromCargo<'i>>, FoundWrong> {
    let Some(asked) = asked(doc, root)? else {
        return Ok(None);
    };
    let below = Path::new(asked.path.as_deref().unwrap_or(""));
    let at = dir.join(below).components().collect::<PathBuf>();
    let request = Request {
        dir: &at,
        package: asked.package.as_deref(),
        variant: asked.variant.as_deref(),
        target: asked.target.as_deref(),
    };
    let project = match cargo::read(&request) {
        Ok(project) => project,
        Err(error) => {
            let problem = Problem::of_error(&shown.join("relpack.toml"), &error);
            let said = Problem::new(asked.at, format!("release.cargo: {}", problem.message()));
            doc.push(match problem.hint() {
                Some(hint) => said.help(hint),
                None => said,
            });
            return Err(FoundWrong {
                environment: error.is_environment(),
            });
        }
    };
    let manifest = match project.manifest.strip_prefix(dir) {
        Ok(below) => shown.join(below),
        Err(_) => project.manifest.clone(),
    };
    let overlay = Overlay {
        doc,
        at: asked.at,
        manifest: printable_path(&manifest),
    };
    for warning in &project.warnings {
        overlay.warn(warning.clone());
    }
    let mut root = root.clone();
    overlay.package(&mut root, &project);
    overlay
        .assets(&mut root, &project)
        .ok_or(FoundWrong { environment: false })?;
    let staging = Arc::new(project.staging);
    let taken = Taken {
        manifest,
        _staging: staging,
    };
    Ok(Some(FromCargo { root, taken }))
}

/// Something is wrong with the project.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundWrong {
    /// The machine is at fault.
    pub(super) environment: bool,
}

fn asked(doc: &Doc, root: &DeTable<'_>) -> Result<Option<Asked>, FoundWrong> {
    let wrong = FoundWrong { environment: false };
    let root = Table::new(doc, root, String::new(), 0..0);
    let Some(release) = root.table("release") else {
        return Ok(None);
    };
    let Some((key, value)) = release.entries().into_iter().find(|(key, _)| key.value == "cargo") else {
        return Ok(None);
    };
    let refuse = |span: Range<usize>, problem: &str, help: &str| {
        doc.push(Problem::new(span, format!("release.cargo: {problem}")).help(help));
        wrong
    };
    let whole = At::new((), value.span()).with_key(&key).span;
    let mut asked = Asked {
        path: None,
        package: None,
        variant: None,
        target: None,
        at: whole.clone(),
    };
    if let DeValue::Table(_) = value.get_ref() {
        let table = release.entry_table(&key, value).ok_or(wrong)?;
        let read = |name: &'static str| -> Result<Option<String>, FoundWrong> {
            match (table.has(name), table.string(name)) {
                (false, _) => Ok(None),
                (true, None) => Err(wrong),
                (true, Some(text)) if text.value.is_empty() => Err(refuse(
                    text.span,
                    &format!("{name} is empty"),
                    "fill it in, or remove the key",
                )),
                (true, Some(text)) => Ok(Some(text.value)),
            }
        };
        (asked.path, asked.package) = (read("path")?, read("package")?);
        (asked.variant, asked.target) = (read("variant")?, read("target")?);
        table.finish();
    } else {
        let text = release.entry_string(&key, value).ok_or(wrong)?;
        if text.value.is_empty() {
            return Err(refuse(text.span, "the name is empty", "name the package of Cargo.toml"));
        }
        asked.package = Some(text.value);
    }
    if release.has("source") {
        let help = "with cargo, the release is made of the project's assets: remove source, or name it as an asset";
        return Err(refuse(release.span_of("source"), "there is a source as well", help));
    }
    Ok(Some(asked))
}

/// Puts what is not there into the tables of the file, at the place of `cargo`.
struct Overlay<'a> {
    doc: &'a Doc,
    at: Range<usize>,
    /// For messages.
    manifest: String,
}

impl Overlay<'_> {
    fn warn(&self, message: String) {
        let problem = Problem::new(self.at.clone(), format!("{}: {message}", self.manifest));
        self.doc.push(problem.warning());
    }

    fn refuse(&self, message: String, help: impl Into<String>) {
        let problem = Problem::new(self.at.clone(), format!("{}: {message}", self.manifest));
        self.doc.push(problem.help(help));
    }

    fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.at.clone(), value)
    }

    fn text<'i>(&self, text: impl Into<String>) -> DeValue<'i> {
        DeValue::String(text.into().into())
    }

    fn list<'i>(&self, items: Vec<String>) -> DeValue<'i> {
        let items = items.into_iter().map(|item| self.spanned(self.text(item)));
        DeValue::Array(items.collect::<DeArray<'i>>())
    }

    /// A value, unless the file has one.
    fn put<'i>(&self, table: &mut DeTable<'i>, key: &str, value: DeValue<'i>) {
        if !table.contains_key(key) {
            table.insert(self.spanned(key.to_owned().into()), self.spanned(value));
        }
    }

    /// A table, made where there is none; `None` where the file has something else, which is said when it is read.
    fn table<'t, 'i>(&self, table: &'t mut DeTable<'i>, key: &str) -> Option<&'t mut DeTable<'i>> {
        self.put(table, key, DeValue::Table(DeTable::new()));
        match table.get_mut(key)?.get_mut() {
            DeValue::Table(found) => Some(found),
            _ => None,
        }
    }

    fn package(&self, root: &mut DeTable<'_>, project: &Project) {
        let Some(table) = self.table(root, "package") else {
            return;
        };
        let description = description(&project.description, project.extended.as_deref());
        let texts = [
            ("name", Some(project.name.clone())),
            ("version", Some(project.version.clone())),
            ("maintainer", project.maintainer.clone()),
            ("description", Some(description)),
            ("section", project.section.clone()),
            ("priority", Some(project.priority.clone())),
            ("homepage", project.homepage.clone()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                self.put(table, key, self.text(text));
            }
        }
        self.documents(table, project);
        let relations = &project.relations;
        let lists = [
            ("depends", &relations.depends),
            ("recommends", &relations.recommends),
            ("suggests", &relations.suggests),
            ("conflicts", &relations.conflicts),
            ("breaks", &relations.breaks),
            ("replaces", &relations.replaces),
            ("provides", &relations.provides),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            self.put(table, key, self.list(list.clone()));
        }
    }

    /// Licence and changelog.
    fn documents(&self, table: &mut DeTable<'_>, project: &Project) {
        let mut license = project.license.clone();
        let mut copyright = project.copyright.clone();
        if let Some(text) = project.license_text.as_deref().filter(|text| !text.trim().is_empty()) {
            let path = project.staging.path().join("license");
            match fs::write(&path, text) {
                Ok(()) => self.put(table, "license_file", self.text(path.to_string_lossy())),
                Err(error) => self.io("write", &path, &error),
            }
            // A finished copyright file says both; a licence has a name, if only this one.
            if is_finished(text) {
                (license, copyright) = (None, None);
            } else {
                license.get_or_insert_with(|| "custom".to_owned());
            }
        }
        for (key, text) in [("license", license), ("copyright", copyright)] {
            if let Some(text) = text {
                self.put(table, key, self.text(text));
            }
        }
        match &project.changelog {
            Some(path) if path.extension().is_some_and(|end| end == "gz") => {
                self.warn("the changelog is compressed, and not taken (hint: name the text itself)".to_owned());
            }
            Some(path) => self.put(table, "changelog", self.text(path.to_string_lossy())),
            None => {}
        }
    }

    /// Sorts the assets; `None` when one can't be taken.
    fn assets(&self, root: &mut DeTable<'_>, project: &Project) -> Option<()> {
        let name = text_of(root, "package", "name").unwrap_or_default();
        let prefix = text_of(root, "release", "prefix").unwrap_or_else(|| format!("/opt/{name}"));
        let staged = project.staging.path().join("assets");
        let release = project.staging.path().join("release");
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        let mut units: Vec<(String, PathBuf)> = Vec::new();
        let mut configuration: Vec<(String, u32, PathBuf)> = Vec::new();
        let mut links: Vec<(String, String)> = Vec::new();
        let mut made: Vec<(&Asset, &str)> = Vec::new();
        let mut pages: Vec<String> = Vec::new();
        let mut fine = fs::create_dir(&release)
            .map_err(|error| self.io("make", &release, &error))
            .is_ok();
        for asset in &project.assets {
            let mode = match &asset.kind {
                AssetKind::File(mode) => *mode,
                AssetKind::Symlink(target) => {
                    made.push((asset, target));
                    continue;
                }
            };
            let from = staged.join(&asset.path);
            match place(&asset.path, &name, &prefix) {
                Place::Unit(unit) => units.push((unit, from)),
                Place::Etc(path) => configuration.push((path, mode, from)),
                Place::Release(path, link) => {
                    fine &= self.check_mode(&asset.path, mode);
                    fine &= self.move_into(&from, &release.join(&path)).is_some();
                    links.extend(link.map(|link| (link, format!("current/{path}"))));
                    places.insert(merged(&asset.path), path);
                }
                Place::Man => match uncompressed(from) {
                    Ok(page) => pages.push(page.to_string_lossy().into_owned()),
                    Err(error) => {
                        self.io("read", Path::new(&asset.path), &error);
                        fine = false;
                    }
                },
                Place::Completion(shell, command) => {
                    let commands = self.table(root, "completions");
                    if let Some(of_one) = commands.and_then(|table| self.table(table, &command)) {
                        self.put(of_one, shell, self.text(from.to_string_lossy()));
                    }
                }
                Place::LeftOut(None) => {}
                Place::LeftOut(Some(instead)) => {
                    self.warn(format!("the asset /{} is not taken (hint: {instead})", asset.path));
                }
                Place::Refused(problem, help) => {
                    self.refuse(format!("the asset /{} {problem}", asset.path), help);
                    fine = false;
                }
            }
        }
        for (asset, target) in made {
            let path = merged(&asset.path);
            let to = merged(&resolved(&path, target));
            let link = match places.get(&to) {
                Some(inside) => format!("current/{inside}"),
                None => format!("/{to}"),
            };
            if let Some(inside) = places.get(&to).cloned() {
                places.insert(path.clone(), inside);
            }
            links.push((format!("/{path}"), link));
        }
        if let Some(table) = self.table(root, "package").filter(|_| !pages.is_empty()) {
            self.put(table, "man", self.list(pages));
        }
        if let Some(table) = self.table(root, "release") {
            self.put(table, "source", self.text(release.to_string_lossy()));
        }
        if let Some(table) = self
            .table(root, "files")
            .filter(|_| !links.is_empty() || !configuration.is_empty())
        {
            for (path, mode, from) in configuration {
                let mut entry = DeTable::new();
                self.put(&mut entry, "source", self.text(from.to_string_lossy()));
                self.put(&mut entry, "mode", self.text(format!("{mode:04o}")));
                self.put(table, &path, DeValue::Table(entry));
            }
            for (path, to) in links {
                let mut entry = DeTable::new();
                self.put(&mut entry, "link", self.text(to));
                self.put(table, &path, DeValue::Table(entry));
            }
        }
        let mut accounts = Accounts::default();
        for (unit, from) in units {
            match self.unit(&unit, &from, &places) {
                Some(file) => {
                    accounts.note(&file);
                    self.put_unit(root, &unit, &file, &project.units);
                }
                None => fine = false,
            }
        }
        if let Some((user, group)) = accounts.only()
            && let Some(table) = self.table(root, "user")
        {
            self.put(table, "name", self.text(user));
            if let Some(group) = group {
                self.put(table, "group", self.text(group));
            }
        }
        fine.then_some(())
    }

    /// Files of a release can be read by everybody.
    fn check_mode(&self, path: &str, mode: u32) -> bool {
        let kept = mode & 0o044 == 0o044 || mode & 0o6000 != 0;
        if !kept {
            self.refuse(
                format!("the asset /{path} has mode {mode:04o}, and everybody can read what is in a release"),
                "put what is not for everybody below /etc, or write mode \"644\" or \"755\"",
            );
        }
        kept
    }

    fn move_into(&self, from: &Path, to: &Path) -> Option<()> {
        let parent = to.parent()?;
        let moved = match to.symlink_metadata() {
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists)),
            Err(_) => fs::create_dir_all(parent).and_then(|()| fs::rename(from, to)),
        };
        moved.map_err(|error| self.io("make", to, &error)).ok()
    }

    fn io(&self, action: &str, path: &Path, error: &std::io::Error) {
        self.refuse(
            format!("can't {action} {}: {error}", printable_path(path)),
            "see that no two assets have one place, and that TMPDIR has room",
        );
    }

    /// A unit file whose programs are those of the release.
    fn unit(&self, name: &str, from: &Path, places: &BTreeMap<String, String>) -> Option<UnitFile> {
        let text = match fs::read_to_string(from) {
            Ok(text) => text,
            Err(error) => {
                self.refuse(format!("can't read {name}: {error}"), "a unit file is text in UTF-8");
                return None;
            }
        };
        let mut file = match UnitFile::parse(&text) {
            Ok(file) => file,
            Err(errors) => {
                for error in errors {
                    self.refuse(format!("{name}, line {}: {}", error.line, error.message), error.hint);
                }
                return None;
            }
        };
        let own = |program: &str| places.get(&merged(program)).cloned();
        let sections: Vec<String> = file.sections().iter().map(|section| section.name.clone()).collect();
        for section in sections {
            for entry in &mut file.section_mut(&section).entries {
                if entry.key.starts_with("Exec") {
                    entry.value = exec::with_programs(&entry.value, &own);
                }
            }
        }
        Some(file)
    }

    fn put_unit(&self, root: &mut DeTable<'_>, name: &str, file: &UnitFile, settings: &[UnitSettings]) {
        let Some(unit) = self.table(root, "units").and_then(|units| self.table(units, name)) else {
            return;
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let of_unit = |one: &&UnitSettings| one.name.as_deref().is_none_or(|name| name == stem);
        let settings = settings.iter().rev().find(of_unit).cloned().unwrap_or_default();
        if settings.enable == Some(false) {
            self.put(unit, "Install", DeValue::Table(DeTable::new()));
        } else if settings.start == Some(false) {
            self.warn(format!(
                "{name} is enabled and not started, and relpack starts what it enables (hint: write enable = false)"
            ));
        }
        if settings.restart == Some(false)
            && let Some(table) = self.table(unit, "X-Relpack")
        {
            self.put(table, "OnUpgrade", self.text("none"));
        }
        for section in file.sections() {
            // Where it is not to be enabled, the empty table says so.
            if section.name == "Install" && unit.contains_key("Install") {
                continue;
            }
            let Some(table) = self.table(unit, &section.name) else {
                continue;
            };
            let keys: BTreeSet<&str> = section.entries.iter().map(|entry| entry.key.as_str()).collect();
            for key in keys {
                let values = section.entries.iter().filter(|entry| entry.key == key);
                let mut values: Vec<String> = values.map(|entry| plain(&entry.value)).collect();
                let value = match values.len() {
                    1 => self.text(values.remove(0)),
                    _ => self.list(values),
                };
                self.put(table, key, value);
            }
        }
    }
}

/// Longest manual page.
const PAGE_MAX: u64 = 8 * 1024 * 1024;

/// A page that was compressed for a package, as it was before.
fn uncompressed(page: PathBuf) -> std::io::Result<PathBuf> {
    if page.extension().is_none_or(|end| end != "gz") {
        return Ok(page);
    }
    let plain = page.with_extension("");
    let mut text = GzDecoder::new(fs::File::open(&page)?).take(PAGE_MAX);
    std::io::copy(&mut text, &mut fs::File::create_new(&plain)?)?;
    Ok(plain)
}

/// A tab is a space to systemd, but for what stands in quotes.
fn plain(value: &str) -> String {
    match value.contains(['"', '\'']) {
        true => value.to_owned(),
        false => value.replace('\t', " "),
    }
}

fn text_of(root: &DeTable<'_>, table: &str, key: &str) -> Option<String> {
    root.get(table)?
        .get_ref()
        .get(key)?
        .get_ref()
        .as_str()
        .map(str::to_owned)
}

/// The path that a link leads to, without a leading slash.
fn resolved(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => link.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whom the services run as, where all of them say the same.
#[derive(Default)]
struct Accounts(BTreeSet<(String, Option<String>)>);

impl Accounts {
    fn note(&mut self, file: &UnitFile) {
        if file.section("Service").is_some()
            && let Some(user) = file.get("Service", "User").filter(|user| !user.is_empty())
        {
            let group = file.get("Service", "Group").filter(|group| !group.is_empty());
            self.0.insert((user.to_owned(), group.map(str::to_owned)));
        }
    }

    fn only(self) -> Option<(String, Option<String>)> {
        let mut all = self.0.into_iter();
        let first = all.next().filter(|(user, _)| user != "root")?;
        all.next().is_none().then_some(first)
    }
}

/// Longest synopsis that package tools show whole.
const SYNOPSIS_MAX: usize = 80;

/// The description with its first line as a synopsis: cut at a word where it is too long for one.
fn description(text: &str, extended: Option<&str>) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut synopsis = String::new();
    let mut used = 0;
    for word in &words {
        if !synopsis.is_empty() && synopsis.chars().count() + 1 + word.chars().count() > SYNOPSIS_MAX {
            break;
        }
        if !synopsis.is_empty() {
            synopsis.push(' ');
        }
        synopsis.push_str(word);
        used += 1;
    }
    let rest = words[used..].join(" ");
    let mut lines = vec![synopsis];
    lines.extend((!rest.is_empty()).then_some(rest));
    if let Some(extended) = extended {
        let printed = extended.replace('\t', " ").replace('\r', "");
        lines.extend(printed.trim().lines().map(|line| line.trim_end().to_owned()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_a_host_leads_them() {
        assert_eq!(resolved("usr/bin/a", "b"), "usr/bin/b");
        assert_eq!(resolved("usr/bin/a", "../share/./x//b"), "usr/share/x/b");
        assert_eq!(resolved("usr/bin/a", "/opt/b"), "opt/b");
        assert_eq!(resolved("a", "../../b"), "b");
    }

    #[test]
    fn a_long_description_is_cut_at_a_word() {
        assert_eq!(description(" A\n b ", None), "A b");
        let long = "word ".repeat(20);
        let text = description(&long, Some("\tMore.\r\n\nEnd.\n"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].len(), 79);
        assert_eq!(lines[1..], ["word word word word", "More.", "", "End."]);
        assert_eq!(description(&"x".repeat(90), None).len(), 90, "refused where it is read");
    }

    #[test]
    fn one_account_for_all_services_is_the_packages() {
        let units = |texts: &[&str]| {
            let mut accounts = Accounts::default();
            for text in texts {
                accounts.note(&UnitFile::parse(text).unwrap());
            }
            accounts.only()
        };
        let acme = "[Service]\nUser=acme\n";
        assert_eq!(units(&[acme, acme, "[Timer]\n"]), Some(("acme".to_owned(), None)));
        assert_eq!(units(&[acme, "[Service]\nUser=other\n"]), None);
        assert_eq!(units(&["[Service]\nUser=root\n"]), None);
        assert_eq!(units(&["[Service]\n"]), None);
    }
}
