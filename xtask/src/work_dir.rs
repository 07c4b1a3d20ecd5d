//! A working directory for a benchmark or a stress test run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::paths::Paths;

/// A working directory that is empty at the start and removed on drop, unless it is kept. A lock gives one process
/// exclusive use.
///
/// It is in the target directory, because the system's temporary directory is often in memory, where syncs of the stage
/// cost nothing.
#[derive(Debug)]
pub(crate) struct WorkDir {
    _lock: File,
    pub(crate) path: PathBuf,
    /// Whether to keep the contents until the next run.
    pub(crate) is_kept: bool,
}

impl WorkDir {
    /// Locks and empties the directory for a task.
    pub(crate) fn enter(places: &Paths, task: &str) -> Result<Self, Failure> {
        let parent = places.target.join(task);
        let cannot = |error: io::Error| Failure::new(format!("cannot use {}: {error}", parent.display()));
        fs::create_dir_all(&parent).map_err(cannot)?;
        let lock = File::create(parent.join("lock")).map_err(cannot)?;
        lock.try_lock().map_err(|_| {
            Failure::new(format!("`cargo xtask {task}` is already running with this target directory"))
                .hint("wait for it to finish")
        })?;
        let path = parent.join("run");
        remove(&path).and_then(|()| fs::create_dir(&path)).map_err(cannot)?;
        Ok(Self { _lock: lock, path, is_kept: false })
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.is_kept {
            // The next run removes whatever cannot be removed now.
            let _ = remove(&self.path);
        }
    }
}

/// Removes a directory, if it exists, after unmounting file systems that a killed test left mounted in it.
fn remove(directory: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in mounted.filter(|place| Path::new(place).starts_with(directory)) {
        Command::new("umount").args(["--lazy", place]).status()?;
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workplaces_are_exclusive_and_start_empty() {
        let target = std::env::temp_dir().join(format!("xtask-work_dir-{}", std::process::id()));
        let places = Paths { root: PathBuf::new(), target: target.clone() };
        let left_over = target.join("bench/run/old");
        fs::create_dir_all(&left_over).unwrap();
        let first = WorkDir::enter(&places, "bench").unwrap();
        assert!(first.path.is_dir() && !left_over.exists());
        assert!(WorkDir::enter(&places, "bench").unwrap_err().to_string().contains("already running"));
        drop(first);
        assert!(!target.join("bench/run").exists());
        fs::remove_dir_all(&target).unwrap();
    }
}
