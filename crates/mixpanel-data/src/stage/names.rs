//! The names of staged files, which contain the page number and a checksum of the bytes. DuckDB does not detect a
//! flipped bit in a compressed page, so a process that resumes a stage first verifies the checksums.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::files::open_file;
use crate::error::{Error, Result};

/// The content of a staged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    Rows,
    Rejects,
}

impl Content {
    const fn word(self) -> &'static str {
        match self {
            Self::Rows => "page",
            Self::Rejects => "rejects",
        }
    }

    /// Returns the name of a file with this page number and checksum.
    pub(super) fn name(self, page: u32, checksum: u32) -> String {
        format!("{}-{page:06}-{checksum:08x}.parquet", self.word())
    }

    /// Returns the name of an incomplete file, whose checksum is not known yet.
    pub(super) fn unfinished_name(self, page: u32) -> String {
        format!("{}-{page:06}.parquet", self.word())
    }
}

/// A parsed file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) content: Content,
    pub(super) page: u32,
    checksum: u32,
}

impl Name {
    /// Parses a file name; `None` if it is not the name of a staged file.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut words = name.strip_suffix(".parquet")?.split('-');
        let (word, page, checksum) = (words.next()?, words.next()?, words.next()?);
        let content = [Content::Rows, Content::Rejects].into_iter().find(|content| content.word() == word)?;
        if words.next().is_some() {
            return None;
        }
        Some(Self { content, page: page.parse().ok()?, checksum: u32::from_str_radix(checksum, 16).ok()? })
    }

    /// Returns whether the bytes of a file match the checksum in its name.
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

/// Returns the staged files in a directory, by page and content; ignores all other files.
///
/// # Errors
/// `Storage` when the directory cannot be read.
pub(super) fn files_in(directory: &Path) -> Result<BTreeMap<(u32, Content), PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|error| Error::io("read the directory", directory, error))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read the directory", directory, error))?;
        if let Some(name) = Name::parse(&entry.file_name().to_string_lossy()) {
            files.insert((name.page, name.content), entry.path());
        }
    }
    Ok(files)
}
