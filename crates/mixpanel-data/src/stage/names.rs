//! The names of staged files: the page, and a checksum of the file's bytes. DuckDB does not notice a flipped bit in a
//! compressed page, so whoever goes on with a stage of an earlier day compares the bytes with the name first.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::files::open_file;
use crate::error::{Error, Result};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Rows,
    Rejects,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Rows => "page",
            Self::Rejects => "rejects",
        }
    }

    /// The name of the file that holds these bytes.
    pub(super) fn name(self, page: u32, bytes: &[u8]) -> String {
        format!("{}-{page:06}-{:08x}.parquet", self.word(), crc32fast::hash(bytes))
    }
}

/// A name, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) part: Part,
    pub(super) page: u32,
    checksum: u32,
}

impl Name {
    /// Reads a name; `None` for a file that is none of these.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut words = name.strip_suffix(".parquet")?.split('-');
        let (word, page, checksum) = (words.next()?, words.next()?, words.next()?);
        let part = [Part::Rows, Part::Rejects].into_iter().find(|part| part.word() == word)?;
        if words.next().is_some() {
            return None;
        }
        Some(Self { part, page: page.parse().ok()?, checksum: u32::from_str_radix(checksum, 16).ok()? })
    }

    /// Whether a file is what its name says.
    ///
    /// # Errors
    /// `Storage` when it cannot be read.
    pub(super) fn matches(self, path: &Path) -> Result<bool> {
        let mut file = open_file(path)?;
        let (mut hasher, mut bytes) = (crc32fast::Hasher::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut bytes) {
                Ok(0) => return Ok(hasher.finalize() == self.checksum),
                Ok(count) => hasher.update(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", path, error)),
            }
        }
    }
}

/// The files of a folder, by page and part. What has another name is not among them.
///
/// # Errors
/// `Storage` when the folder cannot be read.
pub(super) fn files_in(folder: &Path) -> Result<BTreeMap<(u32, Part), PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io("read the folder", folder, error))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read the folder", folder, error))?;
        if let Some(name) = Name::parse(&entry.file_name().to_string_lossy()) {
            files.insert((name.page, name.part), entry.path());
        }
    }
    Ok(files)
}
