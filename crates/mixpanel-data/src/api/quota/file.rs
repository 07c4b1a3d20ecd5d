//! The ledger as a small file that several processes change in turn.
//!
//! Every change is: lock another file, read, write a temporary file, put it in place of the old one. The lock file is
//! apart because the ledger is a new file each time. The old one is removed before the new one takes its name, so there
//! is a moment without a ledger, and who finds none takes the temporary file: it is complete, because the old one goes
//! only when it is. Renaming over the old one would do the same in one step, but ext4 then sends the data to the disk at
//! once, which takes several times as long as all the rest.
//!
//! Nothing is forced to the disk. A process that is killed loses nothing that way; a machine that loses its power may
//! lose the ledger, and then the server's 429 is the truth.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LEDGER_BYTES_MAX, LEDGER_LOCK_ATTEMPTS, LEDGER_LOCK_PAUSE, LEDGERS_ASIDE_MAX};

use super::ledger::Ledger;
use super::slots::SLOTS;

/// The version of the file's form. Another one is left alone: guessing at it could break the limits it keeps, and the
/// version that keeps it still needs it.
const FORMAT: u32 = 1;

/// Characters of the host and of the project that a file name shows; the hash tells longer ones apart.
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

/// Where the ledger of one host and project is.
#[derive(Debug)]
pub(super) struct LedgerFile {
    folder: PathBuf,
    stem: String,
    path: PathBuf,
    temporary: PathBuf,
    lock: PathBuf,
    /// What came of a ledger that could not be read.
    notice: OnceLock<String>,
}

impl LedgerFile {
    /// Makes the folder if there is none. The files are made by their first use.
    pub(super) fn new(folder: &Path, host: &str, project: &str) -> Result<Self> {
        make_folder(folder)?;
        let stem = file_stem(host, project);
        let file = |ending: &str| folder.join(format!("{stem}.{ending}"));
        Ok(Self {
            folder: folder.to_owned(),
            path: file("json"),
            temporary: file("tmp"),
            lock: file("lock"),
            stem: stem.clone(),
            notice: OnceLock::new(),
        })
    }

    pub(super) fn slot_paths(&self) -> Vec<PathBuf> {
        (0..SLOTS).map(|index| self.folder.join(format!("{}.slot-{index}", self.stem))).collect()
    }

    /// Keeps others out until the returned file is dropped. They hold it for a fraction of a millisecond.
    pub(super) fn lock(&self) -> Result<File> {
        let file = match open_lock_file(&self.lock) {
            // Somebody tidied up while we were at work.
            Err(_) if !self.folder.exists() => {
                make_folder(&self.folder)?;
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
                    let message = format!("another process does not let go of `{}`", self.lock.display());
                    return Err(Error::new(ErrorKind::Storage, message).with_path(&self.lock));
                }
                Err(TryLockError::Error(error)) if error.kind() == IoErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &self.lock, error)),
            }
        }
        Ok(file)
    }

    /// Reads the ledger; a new one if there is none. One that is damaged is set aside.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` when it cannot be read or set aside, or another version of this program keeps it.
    pub(super) fn read(&self) -> Result<Ledger> {
        let Some(bytes) = read_bytes(&self.path)? else { return self.recover() };
        let reason = match parse(&bytes) {
            Ok(ledger) => return Ok(ledger),
            Err(Unreadable::Damaged(reason)) => reason,
            Err(Unreadable::OtherFormat(format)) => {
                let message = format!(
                    "`{}` was written by another version of this program: its format is {format}, and this version \
                     reads {FORMAT}",
                    self.path.display()
                );
                return Err(Error::new(ErrorKind::Storage, message).with_path(&self.path));
            }
        };
        let aside = self.name_aside();
        fs::rename(&self.path, &aside).map_err(|error| Error::io("set aside", &self.path, error))?;
        let (path, aside) = (self.path.display(), aside.display());
        let notice = format!("`{path}` {reason}; it is kept as `{aside}`, and the queries counted in it are forgotten");
        tracing::warn!("{notice}");
        let _first = self.notice.set(notice);
        Ok(Ledger::new())
    }

    /// Says what came of a ledger that could not be read.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.get().cloned()
    }

    /// Returns a name that nothing has yet, so that what was set aside earlier stays.
    fn name_aside(&self) -> PathBuf {
        let mut name = format!("{}.json.damaged", self.stem);
        for number in 2..LEDGERS_ASIDE_MAX {
            if fs::symlink_metadata(self.folder.join(&name)).is_err() {
                break;
            }
            name = format!("{}.json.damaged-{number}", self.stem);
        }
        self.folder.join(name)
    }

    /// Takes the ledger of a process that was killed before it could put it in place. Without an old ledger, what cannot
    /// be read is the first one ever, and nothing was sent for it.
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
        fs::rename(path, &self.path).map_err(|error| Error::io("put in place", &self.path, error))
    }

    /// Removes what a process left that was killed while it wrote, or a link that somebody put there. If it is the only
    /// ledger there is, it takes its place first.
    fn clear_temporary(&self) -> Result<()> {
        let path = &self.temporary;
        let cleared =
            if self.path.exists() || path.is_symlink() { fs::remove_file(path) } else { fs::rename(path, &self.path) };
        cleared.map_err(|error| Error::io("clear away", path, error))
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
        Err(Unopened::Absent) => return Ok(None),
        Err(Unopened::Failed(error)) => return Err(error),
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
        // Its form may be another one throughout, so only its version is looked at.
        read => match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format != FORMAT => Err(Unreadable::OtherFormat(format)),
            _ => Err(Unreadable::Damaged(
                read.map_or_else(|error| format!("is damaged ({error})"), |_| "is damaged".to_owned()),
            )),
        },
    }
}

/// Names the files of a host and project so that people can tell them apart and no two pairs share them.
fn file_stem(host: &str, project: &str) -> String {
    let readable = |text: &str| -> String {
        let kept = text.chars().take(NAME_CHARS_MAX).map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' => c,
            _ => '-',
        });
        kept.collect()
    };
    let mut hash = Sha256::new();
    // The length keeps `ab` and `c` apart from `a` and `bc`.
    hash.update((host.len() as u64).to_le_bytes());
    hash.update(host);
    hash.update(project);
    let hash: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("quota-{}-{}-{hash}", readable(host), readable(project))
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).map_err(|error| Error::io("create the folder", folder, error))
}

/// Opens a file whose only use is to be locked, and makes it if there is none.
pub(super) fn open_lock_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    open_regular(&mut options, path).map_err(|unopened| match unopened {
        Unopened::Absent => Error::io("create", path, IoErrorKind::NotFound.into()),
        Unopened::Failed(error) => error,
    })
}

enum Unopened {
    Absent,
    Failed(Error),
}

/// Opens a file for this user alone; never through a link, and never a pipe or a device, which would make us wait.
fn open_regular(options: &mut OpenOptions, path: &Path) -> Result<File, Unopened> {
    let unusable = |what: &str| {
        let message = format!("cannot use `{}`: it is {what}", path.display());
        Unopened::Failed(Error::new(ErrorKind::Storage, message).with_path(path))
    };
    let file = match private(options).open(path) {
        Ok(file) => file,
        Err(_) if path.is_symlink() => return Err(unusable("a symbolic link")),
        Err(error) if error.kind() == IoErrorKind::NotFound => return Err(Unopened::Absent),
        Err(error) => return Err(Unopened::Failed(Error::io("open", path, error))),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(unusable("not a regular file")),
        Err(error) => Err(Unopened::Failed(Error::io("look at", path, error))),
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    options
}
