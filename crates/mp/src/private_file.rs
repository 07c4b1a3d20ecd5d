//! Reads and writes a small file that contains secrets. Uses file descriptors throughout, so that the file cannot be
//! swapped between a check and its use.

use std::fs::{DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::failure::Failure;
use crate::os_error::is_unsupported;
use crate::text::shell_quoted;

/// Maximum size of a config file; a real one has a few kilobytes.
const BYTES_MAX: u64 = 1 << 20;

/// An open directory and the name of a file in it.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    directory: OwnedFd,
    name: String,
    path: PathBuf,
}

/// The contents of the file, and whether other users can read it.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) text: String,
    pub(crate) others_can_read: bool,
}

impl PrivateFile {
    /// Opens the file's directory, or returns `None` if the directory does not exist.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Failure> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unusable(path, "its name is not a file name"))?.to_owned();
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(directory, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(unreadable(path).caused_by(&std::io::Error::from(error))),
        };
        let stat = rustix::fs::fstat(&directory).map_err(|error| unreadable(path).caused_by(&error))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.contains(Mode::WOTH) && stat.st_mode & STICKY == 0 {
            let quoted = shell_quoted(&path.parent().unwrap_or(path).display().to_string()).into_owned();
            return Err(unusable(path, "every user can write to its directory").hint(format!("`chmod o-w {quoted}`")));
        }
        Ok(Some(Self { directory, name, path: path.to_owned() }))
    }

    /// Opens the file's directory. If it does not exist, creates it with mode 0700.
    pub(crate) fn open_or_make_directory(path: &Path) -> Result<Self, Failure> {
        if let Some(file) = Self::open(path)? {
            return Ok(file);
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
            Failure::new(format!("cannot create the directory `{}`", directory.display()))
                .caused_by(&error)
                .hint("set MP_CONFIG_PATH to another path for the config file")
        })?;
        Self::open(path)?.ok_or_else(|| unusable(path, "its directory disappeared"))
    }

    /// Takes an exclusive lock on the directory until the value is dropped. If the file system has no locks, returns a
    /// warning for the user instead.
    pub(crate) fn lock(&self) -> Result<Option<&'static str>, Failure> {
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&self.directory, FlockOperation::LockExclusive)) {
            Ok(()) => Ok(None),
            Err(error) if is_unsupported(error) => {
                Ok(Some("it has no file locks, so one of two simultaneous changes may be lost"))
            }
            Err(error) => {
                Err(Failure::new(format!("cannot lock the directory of `{}`", self.path.display())).caused_by(&error))
            }
        }
    }

    /// Reads the file, or returns `None` if it does not exist.
    pub(crate) fn read(&self) -> Result<Option<Contents>, Failure> {
        // Without NONBLOCK, opening a FIFO blocks until it has a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.symbolic_link()),
            Err(error) => return Err(unreadable(&self.path).caused_by(&std::io::Error::from(error))),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(&self.path).caused_by(&error))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        self.check(&stat, mode)?;
        let mut text = String::new();
        let mut limited = File::from(file).take(BYTES_MAX + 1);
        limited.read_to_string(&mut text).map_err(|error| unreadable(&self.path).caused_by(&error))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(unusable(&self.path, "it is larger than 1 MiB"));
        }
        Ok(Some(Contents { text, others_can_read: mode.intersects(Mode::RGRP | Mode::ROTH) }))
    }

    fn check(&self, stat: &rustix::fs::Stat, mode: Mode) -> Result<(), Failure> {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type != FileType::RegularFile {
            return Err(unusable(&self.path, "it is not a regular file"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(unusable(&self.path, "it belongs to another user"));
        }
        // A link count of 0 means that the file was just replaced; the descriptor still has the previous contents.
        if stat.st_nlink > 1 {
            return Err(unusable(&self.path, "it has several hard links").hint("replace it with a copy"));
        }
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            let hint = format!(
                "run {}; if the file system has no permissions, set MP_CONFIG_PATH to a file on another one",
                chmod(&self.path)
            );
            return Err(unusable(&self.path, "other users can write to it").hint(hint));
        }
        if u64::try_from(stat.st_size).is_ok_and(|size| size > BYTES_MAX) {
            return Err(unusable(&self.path, "it is larger than 1 MiB"));
        }
        Ok(())
    }

    /// Replaces the file atomically, with mode 0600: after a crash, either the old or the new file exists. Returns a
    /// warning for the user if the file system cannot guarantee that.
    pub(crate) fn write(&self, text: &str) -> Result<Option<&'static str>, Failure> {
        if let Ok(stat) = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
        {
            return Err(self.symbolic_link());
        }
        let failed = |error: std::io::Error| {
            let failure = Failure::io(format!("cannot write `{}`", self.path.display()), &error);
            failure.hint("the old file is unchanged; set MP_CONFIG_PATH to use another one")
        };
        let temporary = format!(".{}.{}.tmp", self.name, std::process::id());
        // A killed process with the same process ID may have left this file behind.
        let _absent = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &temporary, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        // The umask may have removed even the owner's permissions. Some file systems have none.
        let _unsupported = rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR);
        let written = file.write_all(text.as_bytes()).and_then(|()| {
            let is_synced = synced(rustix::fs::fsync(&file))?;
            rustix::fs::renameat(&self.directory, &temporary, &self.directory, &self.name)?;
            Ok(synced(rustix::fs::fsync(&self.directory))? && is_synced)
        });
        match written {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some("it cannot sync files, so a power failure may undo this change")),
            Err(error) => {
                let _gone = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
                Err(failed(error))
            }
        }
    }

    fn symbolic_link(&self) -> Failure {
        unusable(&self.path, "it is a symbolic link").hint("set MP_CONFIG_PATH to the file that it points to")
    }
}

/// Returns whether data was synced to disk: `false` if the file system does not support it. A failing disk is an error.
fn synced(result: Result<(), Errno>) -> std::io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_unsupported(error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

const STICKY: rustix::fs::RawMode = 0o1000;

fn unreadable(path: &Path) -> Failure {
    Failure::new(format!("cannot read the config file `{}`", path.display()))
}

fn unusable(path: &Path, reason: &str) -> Failure {
    Failure::new(format!("cannot use the config file `{}`: {reason}", path.display()))
}

/// Returns the command that makes the file private.
pub(crate) fn chmod(path: &Path) -> String {
    format!("`chmod 600 {}`", shell_quoted(&path.display().to_string()))
}
