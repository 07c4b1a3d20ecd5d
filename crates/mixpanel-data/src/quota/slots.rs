//! The concurrency slots. Each is a file lock, which the system releases when its process dies.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

use super::lock_file::open_lock_file;

/// The slots shared by all processes that use the same files, or those of a single limiter.
///
/// Take and check file slots only while the ledger is locked, because checking a slot briefly takes its lock.
#[derive(Debug)]
pub(super) enum Slots {
    Memory(Arc<Mutex<Vec<bool>>>),
    Files(Vec<PathBuf>),
}

/// A slot that is held; dropping it frees it.
#[derive(Debug)]
pub(super) struct Slot {
    index: usize,
    _hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Memory { busy: Arc<Mutex<Vec<bool>>>, index: usize },
    File { _lock: File },
}

impl Slots {
    /// Creates slots for a single limiter.
    pub(super) fn in_memory(count: usize) -> Self {
        Self::Memory(Arc::new(Mutex::new(vec![false; count])))
    }

    fn count(&self) -> usize {
        match self {
            Self::Memory(busy) => busy.lock().unwrap_or_else(PoisonError::into_inner).len(),
            Self::Files(paths) => paths.len(),
        }
    }

    /// Takes a free slot, if there is one.
    pub(super) fn take(&self) -> Result<Option<Slot>> {
        for index in 0..self.count() {
            if let Some(slot) = self.try_take(index)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Returns whether a live process holds a slot.
    pub(super) fn is_held(&self, index: usize) -> Result<bool> {
        Ok(index < self.count() && self.try_take(index)?.is_none())
    }

    fn try_take(&self, index: usize) -> Result<Option<Slot>> {
        let hold = match self {
            Self::Memory(busy) => {
                let mut places = busy.lock().unwrap_or_else(PoisonError::into_inner);
                if places[index] {
                    return Ok(None);
                }
                places[index] = true;
                Hold::Memory { busy: Arc::clone(busy), index }
            }
            Self::Files(paths) => {
                let path = &paths[index];
                // Opened each time, because the lock belongs to the open file: a second lock from the same process
                // must fail as well.
                let file = open_lock_file(path)?;
                match file.try_lock() {
                    Ok(()) => Hold::File { _lock: file },
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(Error::io("lock", path, error)),
                }
            }
        };
        Ok(Some(Slot { index, _hold: hold }))
    }
}

impl Slot {
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Self::Memory { busy, index } = self {
            busy.lock().unwrap_or_else(PoisonError::into_inner)[*index] = false;
        }
    }
}
