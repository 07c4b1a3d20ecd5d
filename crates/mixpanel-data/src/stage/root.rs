//! The directories that hold stages, and the lock that a process holds while it starts or takes over a run.

use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{make_root, open_file, open_lock};
use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::START_LOCK_ATTEMPTS;

/// The lock file in a root, locked while a run is started or taken over.
const TURN: &str = ".turn";

/// The directories that hold the stages of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageRoots {
    /// Where new runs are created.
    pub(crate) root: PathBuf,
    /// Another directory that may hold runs of an earlier version.
    pub(crate) earlier: Option<PathBuf>,
}

impl StageRoots {
    /// Returns all directories.
    pub(super) fn all(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.root).chain(&self.earlier).map(PathBuf::as_path)
    }
}

/// The lock for starting or taking over a run, held briefly by one process at a time. It is released when the process
/// exits, even if it is killed.
#[derive(Debug)]
pub(crate) struct Turn {
    root: PathBuf,
    /// Not locked on a file system without locks.
    _lock: File,
}

/// Acquires the lock, waiting for other processes to release it.
///
/// # Errors
/// `RunBusy` when another process does not release it; `Storage` or `DiskFull`.
pub(crate) fn lock_for_start(roots: &StageRoots) -> Result<Turn> {
    let root = roots.root.clone();
    let path = root.join(TURN);
    for _ in 0..START_LOCK_ATTEMPTS {
        // The previous holder removes the file, and the root if it is empty.
        match make_root(&root) {
            Err(error) if is_gone(&error, &root) => continue,
            made => made?,
        }
        let file = match open_lock(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("create", &path, error)),
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => return Ok(Turn { root, _lock: file }),
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(fs::TryLockError::Error(error)) if durable::is_unsupported(&error) => {
                return Ok(Turn { root, _lock: file });
            }
            Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
    }
    let message = format!("another process holds the lock `{}`", path.display());
    Err(Error::new(ErrorKind::RunBusy, message).with_path(&path))
}

/// Returns whether the root could not be created because another process removed it at the same time. If it vanishes
/// between the attempt and the check of what is there, the error is `AlreadyExists`.
fn is_gone(error: &Error, root: &Path) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| match source.kind() {
        std::io::ErrorKind::NotFound => true,
        std::io::ErrorKind::AlreadyExists => fs::symlink_metadata(root).map_or(true, |found| found.is_dir()),
        _ => false,
    })
}

/// Removes the lock file of a killed process.
pub(super) fn sweep_turn(root: &Path) {
    let path = root.join(TURN);
    let Ok(file) = open_file(&path) else { return };
    if file.try_lock().is_ok() && is_at(&file, &path) {
        let _ = fs::remove_file(&path);
    }
}

/// Returns whether the path still names this file, which may have been replaced while this process waited for the lock.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.root.join(TURN));
        // Fails, as intended, if the root holds runs.
        let _ = fs::remove_dir(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_exclusive_and_leave_no_files() {
        let directory = tempfile::tempdir().unwrap();
        let roots = StageRoots { root: directory.path().join("x.db.stage"), earlier: None };
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let turn = lock_for_start(&roots).unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        // The state that a killed process leaves behind.
        fs::create_dir(&roots.root).unwrap();
        fs::write(roots.root.join(TURN), "").unwrap();
        super::super::sweep(&roots);
        assert!(!roots.root.exists());
    }
}
