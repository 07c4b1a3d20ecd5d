//! The cache of fetched DuckDB libraries: one directory per source and version, with a checksum next to every file.
//!
//! A directory is renamed to its final name only when it is complete, so an interrupted download is never used. The
//! checksums detect later damage, such as from a full disk or a partially restored CI cache.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::paths::Paths;

/// The state of a cache directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Every file matches its checksum.
    Intact,
    /// The directory does not exist.
    Missing,
    /// This file is missing or does not match its checksum.
    Damaged(PathBuf),
}

/// Compares the files of a cache directory with the checksums written when they were fetched.
pub(crate) fn state(directory: &Path, files: &[&str]) -> State {
    if !directory.exists() {
        return State::Missing;
    }
    for name in files {
        let file = directory.join(name);
        let noted = fs::read_to_string(checksum_file(&file)).unwrap_or_default();
        match sha256(&file) {
            Ok(sum) if noted.split_whitespace().next() == Some(sum.as_str()) => {}
            _ => return State::Damaged(file),
        }
    }
    State::Intact
}

/// Writes the checksums next to `files` in `incoming` and moves the directory to its final path.
pub(crate) fn publish(incoming: &Path, files: &[&str], directory: &Path) -> io::Result<()> {
    for name in files {
        let file = incoming.join(name);
        fs::write(checksum_file(&file), format!("{}  {name}\n", sha256(&file)?))?;
        // The contents must reach the disk before the rename.
        File::open(&file)?.sync_all()?;
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(incoming, directory),
    }
}

/// Returns the SHA-256 of a file in lowercase hexadecimal.
pub(crate) fn sha256(file: &Path) -> io::Result<String> {
    let mut source = File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(format!("{:x}", hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn checksum_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// The lock for fetching the library, with the directory to fetch it into.
///
/// Only one process holds it at a time, so that two tasks started together fetch the library only once.
#[derive(Debug)]
pub(crate) struct Fetching {
    _lock: File,
    directory: PathBuf,
}

impl Fetching {
    /// Waits until no other process is fetching, and takes the lock.
    pub(crate) fn begin(places: &Paths) -> Result<Self, Failure> {
        let engines = places.engines();
        let cannot = |error: io::Error| Failure::new(format!("cannot write to {}: {error}", engines.display()));
        fs::create_dir_all(&engines).map_err(cannot)?;
        let lock = File::create(engines.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("engine: waiting for another task that is fetching it");
                lock.lock().map_err(cannot)?;
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        Ok(Self { _lock: lock, directory: engines.join("incoming") })
    }

    /// Returns the directory to fetch into.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates an empty directory to fetch into.
    pub(crate) fn empty_directory(&self) -> io::Result<&Path> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&self.directory)?,
        }
        Ok(&self.directory)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // The next fetch removes whatever cannot be removed now.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporary directory, removed at the end of the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_checksum_is_the_one_that_sha256sum_prints() {
        let scratch = Scratch::new("sum");
        let file = scratch.0.join("abc");
        fs::write(&file, "abc").unwrap();
        assert_eq!(sha256(&file).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn damage_is_detected_and_repaired_by_publishing_again() {
        let scratch = Scratch::new("damage");
        let (incoming, directory) = (scratch.0.join("incoming"), scratch.0.join("engine"));
        assert_eq!(state(&directory, &["lib"]), State::Missing);
        for engine in ["the engine", "another engine"] {
            fs::create_dir(&incoming).unwrap();
            fs::write(incoming.join("lib"), engine).unwrap();
            publish(&incoming, &["lib"], &directory).unwrap();
            assert_eq!(state(&directory, &["lib"]), State::Intact);
            assert_eq!(fs::read_to_string(directory.join("lib")).unwrap(), engine);
            fs::write(directory.join("lib"), "the engin").unwrap();
            assert_eq!(state(&directory, &["lib"]), State::Damaged(directory.join("lib")));
        }
        fs::remove_file(directory.join("lib")).unwrap();
        assert_eq!(state(&directory, &["lib"]), State::Damaged(directory.join("lib")));
    }

    #[test]
    fn leftovers_of_an_interrupted_download_are_removed() {
        let scratch = Scratch::new("incoming");
        let places = Paths { root: scratch.0.clone(), target: scratch.0.clone() };
        let left = places.engines().join("incoming");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("half"), "a").unwrap();
        let fetching = Fetching::begin(&places).unwrap();
        assert_eq!(fs::read_dir(fetching.empty_directory().unwrap()).unwrap().count(), 0);
    }
}
