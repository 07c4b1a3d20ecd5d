//! A file that appears under its name only when it is complete.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::failure::Failure;

/// Ends the name of a file that is being written.
const ENDING: &str = ".mp-partial";

/// The longest name that most file systems allow, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A file that is being written under a temporary name beside its final one. Removed when dropped, unless it was
/// published. While it is being written, the file is locked, which tells it from one that a killed process left behind.
#[derive(Debug)]
pub(crate) struct PartialFile {
    target: PathBuf,
    temporary: PathBuf,
    file: Arc<File>,
    replaces: bool,
    /// The file that is replaced.
    replaced: Option<Metadata>,
}

impl PartialFile {
    /// Creates the temporary file. `replaces` permits an existing file under the final name.
    ///
    /// # Errors
    /// The file exists, is not a regular file, is being written by another process, or cannot be created.
    pub(crate) fn create(path: &Path, replaces: bool) -> Result<Self, Failure> {
        // A link stays a link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let shown = path.display();
        let replaced = fs::symlink_metadata(&target);
        match &replaced {
            Ok(found) if found.is_dir() => {
                return Err(Failure::usage(format!("`{shown}` is a directory")).hint("name a file in it"));
            }
            Ok(found) if !found.is_file() => {
                return Err(Failure::usage(format!("`{shown}` is not a regular file"))
                    .hint("use `-` to write to standard output"));
            }
            Ok(_) if !replaces => return Err(exists(path)),
            _ => {}
        }
        let Some(name) = target.file_name() else {
            return Err(Failure::usage(format!("`{shown}` does not name a file"))
                .hint("add the name of a file, such as `profiles.parquet`"));
        };
        let temporary = target.with_file_name(temporary_name(name));
        let file = open_locked(&temporary, path)?;
        let replaced = replaced.ok();
        take_over(&file, replaced.as_ref());
        Ok(Self { target, temporary, file: Arc::new(file), replaces, replaced })
    }

    /// Returns the path of the temporary file.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Returns the file, open for writing.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Syncs the file, gives it its final name, and returns its size in bytes.
    ///
    /// # Errors
    /// The file cannot be synced or renamed, or a file with the final name has appeared.
    pub(crate) fn publish(self) -> Result<u64, Failure> {
        let failed =
            |error: std::io::Error| Failure::io(format!("could not write `{}`", self.target.display()), &error);
        let is_unsupported = |error: &std::io::Error| error.raw_os_error() == Some(Errno::INVAL.raw_os_error());
        // DuckDB recreates the file if a first attempt fails.
        let file = File::open(&self.temporary).map_err(failed)?;
        take_over(&file, self.replaced.as_ref());
        match file.sync_all() {
            Err(error) if !is_unsupported(&error) => return Err(failed(error)),
            _ => {}
        }
        let size = file.metadata().map_err(failed)?.len();
        if self.replaces {
            fs::rename(&self.temporary, &self.target).map_err(failed)?;
        } else {
            let renamed = rustix::fs::renameat_with(CWD, &self.temporary, CWD, &self.target, RenameFlags::NOREPLACE);
            match renamed {
                Ok(()) => {}
                Err(Errno::EXIST) => return Err(exists(&self.target)),
                // The file system cannot rename without replacing.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !self.target.exists() => {
                    fs::rename(&self.temporary, &self.target).map_err(failed)?;
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
        if let Some(directory) = self.target.parent() {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            // Best effort: without it, a power failure may undo the rename, but not damage the file.
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        Ok(size)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After publishing, there is no such file.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Returns the name under which a file is written, at most as long as a name may be.
fn temporary_name(name: &OsStr) -> OsString {
    let bytes = name.as_bytes();
    let kept = bytes.len().min(NAME_BYTES_MAX - 1 - ENDING.len());
    OsString::from_vec([b".", &bytes[..kept], ENDING.as_bytes()].concat())
}

/// Gives the file the permissions and, if possible, the owner of the one that it replaces.
fn take_over(file: &File, replaced: Option<&Metadata>) {
    let Some(replaced) = replaced else { return };
    // Changing the owner clears some of the mode's bits, so it comes first. Only root can.
    let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
    let _ = file.set_permissions(fs::Permissions::from_mode(replaced.mode() & 0o777));
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("`{}` exists", path.display())).hint("use `--force` to replace it, or another name")
}

/// Opens and locks the temporary file, empty. One that a killed process left behind is reused.
fn open_locked(temporary: &Path, path: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("cannot write `{}`", path.display()), &error);
    loop {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        options.custom_flags(i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default());
        if fs::symlink_metadata(temporary).is_ok_and(|found| !found.is_file()) {
            let message = format!("cannot write `{}`: `{}` is in the way", path.display(), temporary.display());
            return Err(Failure::new(message).hint("move it, or use another name"));
        }
        let file = options.open(temporary).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!("another process is writing `{}`", path.display()))
                    .hint("wait for it, or use another name"));
            }
            // Without locks, two processes could write the same file, but nothing else can go wrong.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if is_at(&file, temporary) {
            file.set_len(0).map_err(failed)?;
            return Ok(file);
        }
        // Another process published or removed it just now.
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}
