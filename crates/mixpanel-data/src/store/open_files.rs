//! Finds out whether this process has a file open, whichever of its libraries opened it.

use std::fs;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The directories with one entry per open file, of which the first that can be listed counts. The entries can be
/// examined without opening the files again, which matters because closing a file drops the locks of the process on it.
const DESCRIPTORS: [&str; 2] = ["/proc/thread-self/fd", "/dev/fd"];

/// Identifies a file by device and inode number. Equal for all files on systems without these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    file: u64,
}

impl FileId {
    /// Returns the identity of the file at a path.
    ///
    /// # Errors
    /// The file is missing or not accessible.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self { device: found.dev(), file: found.ino() })
    }

    /// Returns the identity of the file at a path.
    ///
    /// # Errors
    /// The file is missing or not accessible.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self { device: 0, file: 0 })
    }
}

/// Returns how many descriptors of this process refer to the file; 0 if the system does not list them.
pub(super) fn count(file: FileId) -> usize {
    count_in(&DESCRIPTORS, file)
}

fn count_in(directories: &[&str], file: FileId) -> usize {
    let listed = directories.iter().find_map(|directory| fs::read_dir(directory).ok());
    // A descriptor that another thread closes before it is examined has no entry any more.
    let entries = listed.into_iter().flatten().flatten();
    entries.filter(|entry| FileId::of(&entry.path()).is_ok_and(|found| found == file)).count()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn every_descriptor_of_a_file_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&path, "a").unwrap();
        fs::write(&other, "a").unwrap();
        let file = FileId::of(&path).unwrap();
        assert_eq!(count(file), 0);
        let first = File::open(&path).unwrap();
        let _another_file = File::open(&other).unwrap();
        assert_eq!(count(file), 1);
        let second = first.try_clone().unwrap();
        let third = File::options().append(true).open(&path).unwrap();
        assert_eq!(count(file), 3);
        fs::rename(&path, directory.path().join("c")).unwrap();
        assert_eq!(count(file), 3, "the name does not matter");
        drop((first, second, third));
        assert_eq!(count(file), 0);
    }

    #[test]
    fn a_system_that_lists_no_descriptors_is_no_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let open = File::create(&path).unwrap();
        let file = FileId::of(&path).unwrap();
        let (missing, no_directory) = (directory.path().join("fd"), path.to_str().unwrap());
        assert_eq!(count_in(&[missing.to_str().unwrap(), no_directory], file), 0);
        assert_eq!(count_in(&[missing.to_str().unwrap(), "/dev/fd"], file), 1, "the next directory is listed");
        drop(open);
    }
}
