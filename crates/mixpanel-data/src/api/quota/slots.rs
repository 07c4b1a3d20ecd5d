//! The places at once: one file lock each, which a process loses when it dies.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::limits::WORKERS_MAX;

use super::file::open_lock_file;

/// The number of places.
pub(super) const SLOTS: usize = WORKERS_MAX as usize;

/// The places of all processes that use the same files, or those of one limiter.
///
/// In files they are taken and looked at only while the ledger is locked: a look takes the lock for a moment.
#[derive(Debug)]
pub(super) enum Slots {
    Memory(Arc<Mutex<[bool; SLOTS]>>),
    Files(Vec<PathBuf>),
}

/// A place that is held; dropping it frees it.
#[derive(Debug)]
pub(super) struct Slot {
    index: usize,
    _hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Memory { busy: Arc<Mutex<[bool; SLOTS]>>, index: usize },
    File { _lock: File },
}

impl Slots {
    /// Takes a free place, if there is one.
    pub(super) fn take(&self) -> Result<Option<Slot>> {
        for index in 0..SLOTS {
            if let Some(slot) = self.try_take(index)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Says whether a living process holds a place.
    pub(super) fn is_held(&self, index: usize) -> Result<bool> {
        Ok(index < SLOTS && self.try_take(index)?.is_none())
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
                // Opened each time: the lock belongs to the opening, so two in one process are apart as well.
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
