//! Takes what the library packs: it tells nobody its assets, but writes them into a package, which is read here.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::CargoError;

/// A file or link that `cargo deb` would put on a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asset {
    /// Where, without the leading slash.
    pub path: String,
    /// What it is.
    pub kind: AssetKind,
}

/// What an asset is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AssetKind {
    /// A file with its permission bits; its content lies in the staging directory.
    File(u32),
    /// A symlink and its target.
    Symlink(String),
}

/// Lays the files of a package's data archive out below `root`, as a host would have them, and lists them by path.
pub(super) fn unpack(deb: &Path, root: &Path) -> Result<Vec<Asset>, CargoError> {
    let read = CargoError::io("read the assets in", deb);
    let mut archive = match File::open(deb) {
        Ok(file) => ar::Archive::new(BufReader::new(file)),
        Err(error) => return Err(read(error)),
    };
    let mut assets = Vec::new();
    while let Some(member) = archive.next_entry() {
        let member = member.map_err(CargoError::io("read the assets in", deb))?;
        if member.header().identifier() == b"data.tar.gz" {
            let mut data = tar::Archive::new(GzDecoder::new(member));
            let entries = data.entries().map_err(CargoError::io("read the assets in", deb))?;
            for entry in entries {
                let entry = entry.map_err(CargoError::io("read the assets in", deb))?;
                assets.extend(unpack_one(entry, root)?);
            }
        }
    }
    assets.sort();
    Ok(assets)
}

fn unpack_one(mut entry: tar::Entry<'_, impl io::Read>, root: &Path) -> Result<Option<Asset>, CargoError> {
    let bytes = entry.path_bytes().into_owned();
    let refuse = |problem| CargoError::Asset {
        path: String::from_utf8_lossy(&bytes).into_owned(),
        problem,
    };
    let path = plain(&bytes).map_err(refuse)?;
    let kind = match entry.header().entry_type() {
        EntryType::Directory => return Ok(None),
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            AssetKind::Symlink(String::from_utf8(target).map_err(|_| refuse(NOT_UTF8))?)
        }
        _ => {
            let on_disk = root.join(&path);
            let mut write = || -> io::Result<u32> {
                let header = entry.header();
                let (mode, time) = (header.mode()? & 0o7777, header.mtime()?);
                if let Some(parent) = on_disk.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mut file = File::create_new(&on_disk)?;
                io::copy(&mut entry, &mut file)?;
                file.set_permissions(fs::Permissions::from_mode(mode))?;
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time))?;
                Ok(mode)
            };
            AssetKind::File(write().map_err(CargoError::io("put down the asset", Path::new(&path)))?)
        }
    };
    Ok(Some(Asset { path, kind }))
}

const NOT_UTF8: &str = "has a name that is not UTF-8 (hint: rename it)";

/// A path that leads nowhere else: the library takes `..` as it is written.
fn plain(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
    let mut parts = Vec::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            _ => return Err("leads elsewhere (hint: write where it goes without \"..\")"),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_root() {
        assert_eq!(plain(b"./usr/bin/a").unwrap(), "usr/bin/a");
        assert_eq!(plain(b"usr//share/./a").unwrap(), "usr/share/a");
        for bad in [&b"../etc/passwd"[..], b"./usr/../../etc", b"/etc/passwd", b"a\xff"] {
            assert!(plain(bad).is_err(), "{bad:?}");
        }
    }
}
