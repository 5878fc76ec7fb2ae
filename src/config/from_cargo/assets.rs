//! Lays the assets of a Cargo project where they belong: into the release, `[files]`, `[units]` and `[completions]`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use toml::de::{DeTable, DeValue};

use super::overlay::{Overlay, text_of};
use super::places::{Place, merged, place};
use super::units::Accounts;
use crate::cargo::{AssetKind, Project};
use crate::model::link_target;

/// The assets by what they become; paths lead into the staging directory.
#[derive(Default)]
struct Sorted {
    /// Name and file.
    units: Vec<(String, PathBuf)>,
    /// Where on a host, mode, file.
    configuration: Vec<(String, u32, PathBuf)>,
    /// Where on a host, and what it leads to, as `[files]` has it.
    links: Vec<(String, String)>,
    /// Manual pages.
    pages: Vec<String>,
    /// Shell, command, file.
    completions: Vec<(&'static str, String, PathBuf)>,
    /// What is in the release: its path on a host, merged, and in the release.
    places: BTreeMap<String, String>,
    /// One can't be taken.
    refused: bool,
}

impl Overlay<'_> {
    /// Puts each asset where it belongs; `None` when one can't be taken.
    pub(super) fn assets(&self, root: &mut DeTable<'_>, project: &Project) -> Option<()> {
        let release = project.staging.path().join("release");
        if let Err(error) = fs::create_dir(&release) {
            self.io("make", &release, &error);
            return None;
        }
        let mut sorted = self.sort(root, project, &release);
        self.made_links(project, &mut sorted);
        let Sorted { units, places, .. } = &sorted;
        let mut accounts = Accounts::default();
        let mut fine = !sorted.refused;
        for (unit, from) in units {
            match self.unit(unit, from, places) {
                Some(file) => {
                    accounts.note(&file);
                    self.put_unit(root, unit, &file, &project.units);
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
        if let Some(table) = self.table(root, "release") {
            self.put(table, "source", self.text(release.to_string_lossy()));
        }
        self.put_files(root, sorted);
        fine.then_some(())
    }

    /// Moves what goes into the release, and lists the others.
    fn sort(&self, root: &DeTable<'_>, project: &Project, release: &Path) -> Sorted {
        let name = text_of(root, "package", "name").unwrap_or_default();
        let prefix = text_of(root, "release", "prefix").unwrap_or_else(|| format!("/opt/{name}"));
        let mut sorted = Sorted::default();
        for asset in &project.assets {
            let AssetKind::File(mode) = asset.kind else { continue };
            let from = project.staging.path().join("assets").join(&asset.path);
            match place(&asset.path, &name, &prefix) {
                Place::Unit(unit) => sorted.units.push((unit, from)),
                Place::Etc(path) => sorted.configuration.push((path, mode, from)),
                Place::Release(path, link) => {
                    let moved = self.check_mode(&asset.path, mode) && self.move_into(&from, &release.join(&path));
                    sorted.refused |= !moved;
                    sorted.links.extend(link.map(|link| (link, format!("current/{path}"))));
                    sorted.places.insert(merged(&asset.path), path);
                }
                Place::Man => match uncompressed(from) {
                    Ok(page) => sorted.pages.push(page.to_string_lossy().into_owned()),
                    Err(error) => {
                        self.io("read", Path::new(&asset.path), &error);
                        sorted.refused = true;
                    }
                },
                Place::Completion(shell, command) => sorted.completions.push((shell, command, from)),
                Place::LeftOut(None) => {}
                Place::LeftOut(Some(instead)) => {
                    self.warn(format!("the asset /{} is not taken (hint: {instead})", asset.path));
                }
                Place::Refused(problem, help) => {
                    self.refuse(format!("the asset /{} {problem}", asset.path), help);
                    sorted.refused = true;
                }
            }
        }
        sorted
    }

    /// Links that are assets lead to where their targets have gone.
    fn made_links(&self, project: &Project, sorted: &mut Sorted) {
        for asset in &project.assets {
            let AssetKind::Symlink(target) = &asset.kind else {
                continue;
            };
            let path = merged(&asset.path);
            let to = merged(&link_target(&path, target));
            let link = match sorted.places.get(&to).cloned() {
                Some(inside) => {
                    let link = format!("current/{inside}");
                    sorted.places.insert(path.clone(), inside);
                    link
                }
                None => format!("/{to}"),
            };
            sorted.links.push((format!("/{path}"), link));
        }
    }

    /// `[files]`, `[completions]` and `package.man`.
    fn put_files(&self, root: &mut DeTable<'_>, sorted: Sorted) {
        if !sorted.pages.is_empty()
            && let Some(table) = self.table(root, "package")
        {
            self.put(table, "man", self.list(sorted.pages));
        }
        for (shell, command, from) in sorted.completions {
            let commands = self.table(root, "completions");
            if let Some(of_one) = commands.and_then(|table| self.table(table, &command)) {
                self.put(of_one, shell, self.text(from.to_string_lossy()));
            }
        }
        for (path, mode, from) in sorted.configuration {
            let mut entry = DeTable::new();
            self.put(&mut entry, "source", self.text(from.to_string_lossy()));
            self.put(&mut entry, "mode", self.text(format!("{mode:04o}")));
            self.put_file(root, &path, entry);
        }
        for (path, to) in sorted.links {
            let mut entry = DeTable::new();
            self.put(&mut entry, "link", self.text(to));
            self.put_file(root, &path, entry);
        }
    }

    fn put_file<'i>(&self, root: &mut DeTable<'i>, path: &str, entry: DeTable<'i>) {
        if let Some(table) = self.table(root, "files") {
            self.put(table, path, DeValue::Table(entry));
        }
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

    fn move_into(&self, from: &Path, to: &Path) -> bool {
        let parent = to.parent().unwrap_or(to);
        let moved = match to.symlink_metadata() {
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists)),
            Err(_) => fs::create_dir_all(parent).and_then(|()| fs::rename(from, to)),
        };
        moved.map_err(|error| self.io("make", to, &error)).is_ok()
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
    let mut text = GzDecoder::new(fs::File::open(&page)?).take(PAGE_MAX + 1);
    match std::io::copy(&mut text, &mut fs::File::create_new(&plain)?)? {
        0..=PAGE_MAX => Ok(plain),
        _ => Err(std::io::Error::other(format!(
            "it has more than {} MiB",
            PAGE_MAX >> 20
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_page_is_taken_whole_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for (name, size, fine) in [("a.1.gz", PAGE_MAX, true), ("b.1.gz", PAGE_MAX + 1, false)] {
            let path = dir.path().join(name);
            let mut packed = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast());
            packed.write_all(&vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
            packed.finish().unwrap();
            assert_eq!(uncompressed(path).is_ok(), fine, "{name}");
        }
    }
}
