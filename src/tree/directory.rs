//! Owns asking the disk about one directory and what lies in it: modes, types and extended attributes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::found::Found;
use crate::model::TreePath;

/// An open directory: what lies in it is asked for by name, which spares the kernel the way there.
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Opened {
    /// `None` is the root itself.
    pub(super) fn new(root: &Path, dir: Option<&TreePath>) -> io::Result<(Self, Dir)> {
        let path = dir.map_or(root.to_path_buf(), |dir| root.join(dir.as_str()));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        let entries = Dir::read_from(&fd)?;
        Ok((Self { fd, path }, entries))
    }

    /// The type and mode of an entry.
    pub(super) fn mode(&self, name: &OsStr, shown: &str, found: &mut Found) -> Option<u32> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat.st_mode),
            Err(error) => {
                found.fail("stat", shown, error.into());
                None
            }
        }
    }
}

/// Refuses modes that a package can't have, or that not everybody could pack.
pub(super) fn modes_are_right(path: &TreePath, mode: u32, found: &mut Found) -> bool {
    let before = found.errors.len();
    let mode = mode & 0o7777;
    if mode & 0o6000 != 0 {
        let which = if mode & 0o4000 != 0 { "setuid" } else { "setgid" };
        let hint = "chmod ug-s: what needs privileges is said in the unit, with User= and AmbientCapabilities=";
        found.refuse(path.as_str(), format!("is {which} (mode {mode:04o})"), hint);
    }
    // Root could read it, but the same tree must give the same result for everyone.
    if mode & 0o400 == 0 {
        let problem = format!("can't be read by its owner (mode {mode:04o})");
        found.refuse(path.as_str(), problem, "chmod u+r, or exclude it");
    }
    found.errors.len() == before
}

/// Refuses extended attributes that mean something.
pub(super) fn check_xattrs(path: &str, file: impl AsFd, found: &mut Found) {
    let names = match xattr_names(file.as_fd()) {
        Ok(names) => names,
        Err(error) => return found.fail("list the extended attributes of", path, error),
    };
    for name in names {
        let hint = match name.as_str() {
            "security.capability" => "setcap -r; let the unit say AmbientCapabilities= instead".to_owned(),
            "system.posix_acl_access" | "system.posix_acl_default" => {
                "setfacl -b: a package can't carry access lists".to_owned()
            }
            user if user.starts_with("user.") => format!("setfattr -x {user}: a package can't carry it"),
            // Labels that the build machine's own system put there.
            _ => continue,
        };
        found.refuse(path, format!("has the extended attribute {name:?}"), hint);
    }
}

fn xattr_names(file: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut buffer = [0_u8; 1024];
    let mut large = Vec::new();
    let listed = match rustix::fs::flistxattr(file, &mut buffer[..]) {
        Ok(0) => return Ok(Vec::new()),
        Ok(len) => &buffer[..len],
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Err(rustix::io::Errno::RANGE) => {
            // The kernel's limit for a list, XATTR_LIST_MAX.
            large.resize(65536, 0_u8);
            let len = rustix::fs::flistxattr(file, &mut large[..])?;
            &large[..len]
        }
        Err(error) => return Err(error.into()),
    };
    let mut names: Vec<String> = listed
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// What an entry is that can't be packed.
pub(super) fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::BlockDevice | FileType::CharacterDevice => "device",
        _ => "special file",
    }
}
