//! Durable file operations, and fallbacks for what a file system does not support.
//!
//! Network file systems, FUSE and exFAT lack some of these operations: SMB refuses to sync a directory, NFS may have no
//! locks, and exFAT has neither permissions nor hard links. Missing features that are not essential are skipped and
//! reported once, before the first request. A disk that fails or is full is always an error.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Returns whether an error means that the file system does not support the operation, rather than that it failed.
#[cfg(unix)]
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // FUSE and network servers return any of these for operations that they do not support.
    const UNSUPPORTED_ERRNOS: [Errno; 10] = [
        Errno::INVAL,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::PERM,
        Errno::ACCESS,
        Errno::BADF,
        Errno::NOTTY,
        Errno::NOLCK,
        Errno::ISDIR,
    ];
    error.raw_os_error().is_some_and(|code| UNSUPPORTED_ERRNOS.iter().any(|answer| answer.raw_os_error() == code))
}

/// Returns whether an error means that the file system does not support the operation, rather than that it failed.
#[cfg(not(unix))]
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Syncs a directory, so that renames in it are durable. Returns whether the file system supports that.
///
/// # Errors
/// The sync failed.
pub(crate) fn sync_directory(path: &Path) -> io::Result<bool> {
    // Not needed on Windows.
    if cfg!(not(unix)) {
        return Ok(true);
    }
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Ok(()) => Ok(true),
        Err(error) if is_unsupported(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames a finished file to its final name unless that name is taken; returns whether it did.
///
/// # Errors
/// The file could not be renamed.
pub(crate) fn rename_no_replace(fresh: &Path, path: &Path) -> io::Result<bool> {
    let error = match tempfile::TempPath::try_from_path(fresh)?.persist_noclobber(path) {
        Ok(()) => return Ok(true),
        Err(error) => error,
    };
    match &error.error {
        reason if reason.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        reason if is_unsupported(reason) => {}
        _ => return Err(error.error),
    }
    // The file system supports neither no-replace renames nor hard links: claim the name with an empty file.
    match File::create_new(path) {
        Ok(_) => {}
        Err(reason) if reason.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(reason) => return Err(reason),
    }
    fs::rename(&error.path, path).inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(true)
}

/// Restricts a file to its owner, if the file system supports permissions. Returns whether it is private now.
///
/// # Errors
/// The permissions could not be read, or not changed for another reason.
pub(crate) fn make_private(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        match fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
            Err(error) if !is_unsupported(&error) => return Err(error),
            _ => {}
        }
        Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(true)
    }
}

/// Tries every file operation that staging and loading need in a directory. Returns the missing nonessential features,
/// one clause each.
///
/// # Errors
/// `Storage` or `DiskFull` if an essential operation fails, with the reason.
pub(crate) fn check_file_system(directory: &Path) -> Result<Vec<&'static str>> {
    let fail = |what: &'static str| move |error| Error::io(what, directory, error);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let private = builder.prefix(".mixpanel-data-").tempdir_in(directory).map_err(fail("write in the directory"))?;
    let (fresh, named) = (private.path().join("fresh"), private.path().join("named"));
    let mut lacking = Vec::new();
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&fresh).map_err(fail("create a file in"))?;
    if !make_private(&fresh).map_err(fail("set the permissions of a file in"))? {
        lacking.push("it does not support permissions, so other users may be able to read the fetched data");
    }
    file.write_all(&[0; 4096]).map_err(fail("write a file in"))?;
    file.sync_all().map_err(|error| needed("sync a file", directory, error))?;
    file.set_len(0).map_err(|error| needed("truncate a file", directory, error))?;
    match file.try_lock() {
        Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
        Err(fs::TryLockError::Error(error)) if is_unsupported(&error) => {
            lacking.push("it does not support file locks, so a concurrent fetch on another machine is not detected");
        }
        Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock a file in", directory, error)),
    }
    lock_records(&file, Exclusion::All).map_err(|error| needed("lock a file with fcntl", directory, error))?;
    drop(file);
    rename_no_replace(&fresh, &named).map_err(fail("move a file into place in"))?;
    fs::rename(&named, &fresh).map_err(fail("rename a file in"))?;
    let names = [private.path(), directory].map(sync_directory);
    let synced: io::Result<Vec<bool>> = names.into_iter().collect();
    if synced.map_err(fail("sync the directory"))?.contains(&false) {
        lacking.push("it cannot sync directories, so a power failure may lose the most recent pages");
    }
    fs::remove_file(&fresh).map_err(fail("remove a file in"))?;
    private.close().map_err(fail("remove a directory in"))?;
    Ok(lacking)
}

/// Creates the error for a failed essential operation.
fn needed(what: &str, directory: &Path, error: io::Error) -> Error {
    if !is_unsupported(&error) {
        return Error::io(&format!("{what} in"), directory, error);
    }
    let message = format!("the file system of `{}` cannot {what}, which DuckDB requires", directory.display());
    Error::new(ErrorKind::Storage, message).with_path(directory).with_source(error)
}

/// Whom a lock excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exclusion {
    /// Processes that have the file open for writing.
    Writers,
    /// All other processes.
    All,
}

/// Takes an `fcntl` lock, as DuckDB does, without waiting. Closing the file releases it.
///
/// # Errors
/// Another process holds a lock, or the file system does not support it.
pub(crate) fn lock_records(file: &File, exclusion: Exclusion) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::FlockOperation::{NonBlockingLockExclusive, NonBlockingLockShared};
        let operation = match exclusion {
            Exclusion::Writers => NonBlockingLockShared,
            Exclusion::All => NonBlockingLockExclusive,
        };
        rustix::fs::fcntl_lock(file, operation)?;
    }
    #[cfg(not(unix))]
    let _ = (file, exclusion);
    Ok(())
}

/// Returns the error that prevents DuckDB from locking a file; `None` if it can, or if another process holds the lock.
///
/// Call this only while this process does not have the database open: closing the file releases all of the process's
/// `fcntl` locks on it.
pub(crate) fn lock_problem(path: &Path) -> Option<io::Error> {
    let file = File::options().read(true).write(true).open(path).or_else(|_| File::open(path)).ok()?;
    let error = lock_records(&file, Exclusion::All).err()?;
    let is_held = matches!(error.kind(), io::ErrorKind::WouldBlock);
    #[cfg(unix)]
    let is_held = is_held || rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::ACCESS);
    (!is_held).then_some(error)
}

/// Where the next read of a file must come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The page cache: every write succeeded.
    Cache,
    /// The disk: after an error, the page cache may hold data that is not on disk.
    Disk,
}

/// Evicts a file from the page cache, if the operating system supports that, so that it is next read from the disk.
///
/// After a failed write, the page cache may hold data that is not on the disk.
pub(crate) fn evict_from_page_cache(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_system_lacks_nothing_and_is_left_clean() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(check_file_system(directory.path()).unwrap(), Vec::<&str>::new());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_is_given_once() {
        let directory = tempfile::tempdir().unwrap();
        let (fresh, named) = (directory.path().join("fresh"), directory.path().join("named"));
        for (text, given) in [("first", true), ("second", false)] {
            fs::write(&fresh, text).unwrap();
            assert_eq!(rename_no_replace(&fresh, &named).unwrap(), given);
        }
        assert_eq!(fs::read_to_string(named).unwrap(), "first");
    }

    #[test]
    fn disk_errors_are_not_mistaken_for_unsupported_operations() {
        use rustix::io::Errno;
        let of = |errno: Errno| is_unsupported(&io::Error::from(errno));
        for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS, Errno::DQUOT, Errno::NOENT, Errno::MFILE, Errno::FBIG] {
            assert!(!of(errno), "{errno}");
        }
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS, Errno::PERM, Errno::ACCESS, Errno::BADF, Errno::NOLCK]
        {
            assert!(of(errno), "{errno}");
        }
    }
}
