//! The quota ledger as a small file that several processes update in turn.
//!
//! Each update locks a separate lock file, reads the ledger, writes a temporary file and moves it into place. The
//! lock file is separate because every update creates a new ledger file. The old ledger is removed before the
//! temporary file takes its name, so for a moment there is no ledger. A process that finds none reads the temporary
//! file instead, which is complete: the old ledger is removed only after the temporary file has been written.
//! Renaming over the old file takes a single step, but then ext4 writes the data to disk at once, which takes several
//! times longer than the rest of the update.
//!
//! Nothing is synced to disk. A killed process loses nothing, but a power failure may lose the ledger. The server's
//! 429 then corrects the count.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LEDGER_BYTES_MAX, LEDGER_LOCK_ATTEMPTS, LEDGER_LOCK_PAUSE, LEDGERS_ASIDE_MAX};
use crate::text::hexadecimal;

use super::ledger::Ledger;
use super::lock_file::{OpenError, make_directory, open_lock_file, open_regular, private};
use super::pool::Pool;

/// The version of the file format. A ledger in another version is never replaced: misreading it could break the
/// limits, and the program version that wrote it still needs it.
const FORMAT: u32 = 1;

/// Maximum length of the host and of the project ID in a file name, in characters. The hash tells longer ones apart.
const NAME_CHARS_MAX: usize = 60;

#[derive(Serialize, Deserialize)]
struct Contents<T> {
    format: u32,
    ledger: T,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The ledger files of one pool, host and project.
#[derive(Debug)]
pub(super) struct LedgerFile {
    directory: PathBuf,
    stem: String,
    path: PathBuf,
    temporary: PathBuf,
    lock: PathBuf,
    /// Why the ledger could not be read, and where it was moved.
    notice: OnceLock<String>,
}

impl LedgerFile {
    /// Returns the files, and creates the directory if it is missing. The files are created on first use.
    pub(super) fn new(directory: &Path, pool: Pool, host: &str, project: &str) -> Result<Self> {
        make_directory(directory)?;
        let stem = file_stem(pool, host, project);
        let file = |ending: &str| directory.join(format!("{stem}.{ending}"));
        Ok(Self {
            directory: directory.to_owned(),
            path: file("json"),
            temporary: file("tmp"),
            lock: file("lock"),
            stem: stem.clone(),
            notice: OnceLock::new(),
        })
    }

    pub(super) fn slot_paths(&self, slots: usize) -> Vec<PathBuf> {
        (0..slots).map(|index| self.directory.join(format!("{}.slot-{index}", self.stem))).collect()
    }

    /// Locks the ledger until the returned file is dropped. Processes hold the lock for a fraction of a millisecond.
    pub(super) fn lock(&self) -> Result<File> {
        let file = match open_lock_file(&self.lock) {
            // The directory was deleted while this process was running.
            Err(_) if !self.directory.exists() => {
                make_directory(&self.directory)?;
                open_lock_file(&self.lock)
            }
            opened => opened,
        }?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < LEDGER_LOCK_ATTEMPTS => {
                    std::thread::sleep(LEDGER_LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process holds the lock `{}`", self.lock.display());
                    return Err(Error::new(ErrorKind::Storage, message).with_path(&self.lock));
                }
                Err(TryLockError::Error(error)) if error.kind() == IoErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &self.lock, error)),
            }
        }
        Ok(file)
    }

    /// Reads the ledger, or returns a new one if there is none. A damaged ledger is set aside.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` if the ledger cannot be read or set aside, or is in another version of the format.
    pub(super) fn read(&self) -> Result<Ledger> {
        let Some(bytes) = read_bytes(&self.path)? else { return self.recover() };
        let reason = match parse(&bytes) {
            Ok(ledger) => return Ok(ledger),
            Err(Unreadable::Damaged(reason)) => reason,
            Err(Unreadable::OtherFormat(format)) => {
                let message = format!(
                    "`{}` was written by another version of this program: its format is {format}, but this version \
                     reads {FORMAT}",
                    self.path.display()
                );
                return Err(Error::new(ErrorKind::Storage, message).with_path(&self.path));
            }
        };
        let aside = self.name_aside();
        fs::rename(&self.path, &aside).map_err(|error| Error::io("set aside", &self.path, error))?;
        let (path, aside) = (self.path.display(), aside.display());
        let notice = format!("`{path}` {reason}; it was moved to `{aside}`, and its query counts are lost");
        tracing::warn!("{notice}");
        let _first = self.notice.set(notice);
        Ok(Ledger::new())
    }

    /// Returns the notice about a damaged ledger that was set aside, if any.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.get().cloned()
    }

    /// Returns an unused path, so that a ledger set aside earlier is not overwritten.
    fn name_aside(&self) -> PathBuf {
        let mut name = format!("{}.json.damaged", self.stem);
        for number in 2..LEDGERS_ASIDE_MAX {
            if fs::symlink_metadata(self.directory.join(&name)).is_err() {
                break;
            }
            name = format!("{}.json.damaged-{number}", self.stem);
        }
        self.directory.join(name)
    }

    /// Reads the temporary file of a process that was killed before moving it into place. With no old ledger, an
    /// unreadable temporary file comes from the very first update, and its request was never sent.
    fn recover(&self) -> Result<Ledger> {
        let bytes = if self.temporary.is_symlink() { None } else { read_bytes(&self.temporary)? };
        Ok(bytes.and_then(|bytes| parse(&bytes).ok()).unwrap_or_else(Ledger::new))
    }

    /// Replaces the ledger.
    pub(super) fn write(&self, ledger: &Ledger) -> Result<()> {
        let bytes = serde_json::to_vec(&Contents { format: FORMAT, ledger })
            .map_err(|error| Error::internal("the ledger cannot be written as JSON").with_source(error))?;
        let path = &self.temporary;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = match private(&mut options).open(path) {
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                self.clear_temporary()?;
                options.open(path)
            }
            opened => opened,
        }
        .map_err(|error| Error::io("create", path, error))?;
        file.write_all(&bytes).map_err(|error| Error::io("write", path, error))?;
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != IoErrorKind::NotFound
        {
            return Err(Error::io("replace", &self.path, error));
        }
        fs::rename(path, &self.path).map_err(|error| Error::io("move a new file to", &self.path, error))
    }

    /// Removes the temporary file left by a killed process, or a link at its path. If the file is the only ledger left,
    /// moves it into place instead.
    fn clear_temporary(&self) -> Result<()> {
        let path = &self.temporary;
        let cleared =
            if self.path.exists() || path.is_symlink() { fs::remove_file(path) } else { fs::rename(path, &self.path) };
        cleared.map_err(|error| Error::io("remove or rename", path, error))
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    let file = match open_regular(&mut options, path) {
        Ok(file) => file,
        Err(OpenError::Absent) => return Ok(None),
        Err(OpenError::Failed(error)) => return Err(error),
    };
    let mut bytes = Vec::with_capacity(16 << 10);
    let read = file.take(LEDGER_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io("read", path, error))?;
    Ok(Some(bytes))
}

/// Why a ledger cannot be read.
enum Unreadable {
    Damaged(String),
    OtherFormat(u32),
}

fn parse(bytes: &[u8]) -> Result<Ledger, Unreadable> {
    if bytes.len() as u64 > LEDGER_BYTES_MAX {
        return Err(Unreadable::Damaged(format!("is larger than {LEDGER_BYTES_MAX} bytes")));
    }
    match serde_json::from_slice::<Contents<Ledger>>(bytes) {
        Ok(contents) if contents.format == FORMAT => Ok(contents.ledger),
        // Another version may differ in every field except the version number.
        read => match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format != FORMAT => Err(Unreadable::OtherFormat(format)),
            _ => Err(Unreadable::Damaged(
                read.map_or_else(|error| format!("is damaged ({error})"), |_| "is damaged".to_owned()),
            )),
        },
    }
}

/// Returns a readable file name stem that is unique to the pool, host and project.
fn file_stem(pool: Pool, host: &str, project: &str) -> String {
    let readable = |text: &str| -> String {
        let kept = text.chars().take(NAME_CHARS_MAX).map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' => c,
            _ => '-',
        });
        kept.collect()
    };
    let mut hash = Sha256::new();
    // The length prefix keeps `ab` + `c` distinct from `a` + `bc`.
    hash.update((host.len() as u64).to_le_bytes());
    hash.update(host);
    hash.update(project);
    let hash = hexadecimal(&hash.finalize()[..6]);
    format!("{}-{}-{}-{hash}", pool.prefix, readable(host), readable(project))
}
