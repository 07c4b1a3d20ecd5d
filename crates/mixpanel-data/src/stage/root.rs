//! Where the stages of a database are, and the lock that a process holds while it begins or takes a run.

use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{make_root, open_file, open_lock};
use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::RUN_TURN_ATTEMPTS;

/// The maximum number of links to follow to a database; more are taken for a cycle.
const LINKS_MAX: u32 = 40;

/// The file in a root that is locked while a run is begun or taken.
const TURN: &str = ".turn";

/// Returns the directory that holds the stages of a database. It is beside the file itself, whichever link names it.
pub(crate) fn stage_root(database: &Path) -> PathBuf {
    beside(&resolved(database, LINKS_MAX))
}

/// Returns the directories that may hold stages of a database. Earlier versions put them beside the link by which the
/// database was named.
pub(super) fn stage_roots(database: &Path) -> Vec<PathBuf> {
    let root = stage_root(database);
    let by_name = beside(database);
    let is_another = match (fs::canonicalize(&by_name), fs::canonicalize(&root)) {
        (Ok(by_name), Ok(root)) => by_name != root,
        (found, _) => found.is_ok(),
    };
    if is_another { vec![root, by_name] } else { vec![root] }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".stage");
    database.with_file_name(name)
}

/// Resolves every link of a path, including those of a path whose target does not exist.
fn resolved(path: &Path, links: u32) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else { return absolute };
    let Some(links) = links.checked_sub(1) else { return absolute };
    match fs::read_link(&absolute) {
        Ok(target) => resolved(&parent.join(target), links),
        Err(_) => resolved(parent, links).join(name),
    }
}

/// The lock for beginning or taking a run of a database. One process holds it at a time, for a moment. It ends with
/// the process, however that exits.
#[derive(Debug)]
pub(crate) struct Turn {
    root: PathBuf,
    /// Not locked on a file system without locks.
    _lock: File,
}

/// Waits for the lock.
///
/// # Errors
/// `RunBusy` when another process does not release it; `Storage` or `DiskFull`.
pub(crate) fn take_turn(database: &Path) -> Result<Turn> {
    let root = stage_root(database);
    let path = root.join(TURN);
    for _ in 0..RUN_TURN_ATTEMPTS {
        // The previous holder removes the file, and the root if it is empty.
        match make_root(&root) {
            Err(error) if is_gone(&error) => continue,
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

/// Returns whether the error is that a file or directory no longer exists.
fn is_gone(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::NotFound)
}

/// Removes the lock file that a killed process left behind.
pub(super) fn sweep_turn(root: &Path) {
    let path = root.join(TURN);
    let Ok(file) = open_file(&path) else { return };
    if file.try_lock().is_ok() && is_at(&file, &path) {
        let _ = fs::remove_file(&path);
    }
}

/// Returns whether the path still names this file: while this process waited for the lock, another file may have taken
/// its place.
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
        // Fails, as it should, if the root holds runs.
        let _ = fs::remove_dir(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn one_file_has_one_root_by_whatever_name() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        symlink("real", at("linked")).unwrap();
        symlink("real/x.db", at("link.db")).unwrap();
        symlink("link.db", at("second.db")).unwrap();
        symlink("circle.db", at("circle.db")).unwrap();
        let root = fs::canonicalize(at("real")).unwrap().join("x.db.stage");
        let names = ["real/x.db", "linked/x.db", "real/../linked/./x.db", "link.db", "second.db"];
        for exists in [false, true] {
            for name in names {
                assert_eq!(stage_root(&at(name)), root, "{name}, {exists}");
            }
            fs::write(at("real/x.db"), "").unwrap();
        }
        let below = fs::canonicalize(at("real")).unwrap().join("new/y.db.stage");
        assert_eq!(stage_root(&at("linked/new/y.db")), below);
        // The result does not matter, only that the call returns.
        let _circle = stage_root(&at("circle.db"));
        fs::create_dir(at("link.db.stage")).unwrap();
        assert_eq!(stage_roots(&at("link.db")), [root.clone(), at("link.db.stage")]);
        assert_eq!(stage_roots(&at("real/x.db")), [root]);
    }

    #[test]
    fn a_turn_is_one_process_at_a_time_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let turn = take_turn(&database).unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        // The state that a killed process leaves behind.
        fs::create_dir(stage_root(&database)).unwrap();
        fs::write(stage_root(&database).join(TURN), "").unwrap();
        super::super::sweep(&database);
        assert!(!stage_root(&database).exists());
    }
}
