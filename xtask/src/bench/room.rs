//! Where the bench works.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::places::Places;

/// A folder for one bench at a time, empty at the start and removed at the end.
///
/// It is in the target folder and not where temporary files go: that is often memory, and staging waits for the disk.
#[derive(Debug)]
pub(super) struct Room {
    _lock: File,
    pub(super) folder: PathBuf,
}

impl Room {
    pub(super) fn enter(places: &Places) -> Result<Self, Failure> {
        let parent = places.target.join("bench");
        let cannot = |error: io::Error| Failure::new(format!("cannot write to {}: {error}", parent.display()));
        fs::create_dir_all(&parent).map_err(cannot)?;
        let lock = File::create(parent.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new("another bench is running, and each would spoil the numbers of the other")
                    .way_out("wait until it has ended"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let room = Self { _lock: lock, folder: parent.join("run") };
        // One that was killed may have left something.
        remove(&room.folder)?;
        make(&room.folder)?;
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next bench.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a folder that is empty, whatever was there.
pub(super) fn empty(folder: &Path) -> Result<(), Failure> {
    remove(folder)?;
    make(folder)
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir(folder).map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove {}: {error}", folder.display())).way_out("remove it by hand"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bench_at_a_time_and_nothing_left_of_the_last() {
        let target = std::env::temp_dir().join(format!("xtask-bench-{}", std::process::id()));
        let places = Places { root: PathBuf::new(), target: target.clone() };
        let left_over = target.join("bench").join("run").join("old");
        fs::create_dir_all(&left_over).unwrap();
        let room = Room::enter(&places).unwrap();
        assert!(room.folder.is_dir() && !left_over.exists());
        assert!(Room::enter(&places).unwrap_err().to_string().contains("another bench"));
        drop(room);
        assert!(!target.join("bench").join("run").exists());
        assert!(Room::enter(&places).is_ok());
        fs::remove_dir_all(&target).unwrap();
    }
}
