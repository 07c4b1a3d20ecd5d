//! Private directories for what does not fit into the memory of a query or an export.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The file that the owner of a directory keeps locked.
const LOCK: &str = "lock";

/// Ends the part of a directory's name that the directories of all processes have in common.
const PROCESS: char = '-';

/// A directory that is removed when dropped. If its process is killed, the next one that spills beside it removes it.
#[derive(Debug)]
pub(crate) struct Spill {
    directory: PathBuf,
    _lock: File,
}

impl Spill {
    /// Creates the directory, which only this process uses.
    ///
    /// # Errors
    /// `Storage`, `DiskFull`.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        remove_abandoned(directory);
        // A process that was killed may have had the same number.
        let _ = fs::remove_dir_all(directory);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory).map_err(|error| Error::io("create the directory", directory, error))?;
        let path = directory.join(LOCK);
        let lock = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        // Without locks, no process removes the directories of others.
        let _ = lock.lock();
        // DuckDB resolves neither links nor relative paths.
        let directory = fs::canonicalize(directory).map_err(|error| Error::io("find", directory, error))?;
        Ok(Self { directory, _lock: lock })
    }

    /// Returns the canonical path.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Removes the directories beside this one that killed processes have left behind.
fn remove_abandoned(directory: &Path) {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let (Some(parent), Some((common, _))) = (directory.parent(), name.rsplit_once(PROCESS)) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_other = entry.file_name().to_str().and_then(|other| other.strip_prefix(common)).is_some_and(|rest| {
            rest.strip_prefix(PROCESS).is_some_and(|process| process.bytes().all(|byte| byte.is_ascii_digit()))
        });
        // A directory without a lock is being created.
        if is_other && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_killed_processes_are_removed_and_no_others() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let live = Spill::create(&at("my.db.spill-1")).unwrap();
        for (name, files) in [
            ("my.db.spill-2", &["lock", "duckdb_temp_storage-0.tmp"][..]),
            ("my.db.spill-3", &[]),
            ("my.db.spill-mine", &["lock"]),
            ("my.db.spill-", &[]),
            ("other.db.spill-2", &["lock"]),
            ("my.db", &["lock"]),
            ("my.db.spill-4", &["lock", "a"]),
        ] {
            fs::create_dir(at(name)).unwrap();
            files.iter().for_each(|file| drop(File::create(at(name).join(file)).unwrap()));
        }
        let spill = Spill::create(&at("my.db.spill-4")).unwrap();
        assert!(spill.path().join("lock").exists() && !spill.path().join("a").exists());
        drop(spill);
        let mut left: Vec<_> =
            fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(
            left,
            ["my.db", "my.db.spill-", "my.db.spill-1", "my.db.spill-3", "my.db.spill-mine", "other.db.spill-2"]
        );
        drop(live);
        assert!(!at("my.db.spill-1").exists());
    }
}
