//! Ensures that a file is open at most once per process.
//!
//! DuckDB's file lock only excludes other *processes*. If *this* process opens a file twice, both databases get the
//! lock, one can write while the other reads, and closing either one drops the lock of both. Therefore all readers in
//! this process share one open database, and a writer has exclusive access.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use duckdb::Connection;

use super::failure::locked;
use crate::error::{Error, Result};

enum Use {
    Writing,
    Reading { database: Connection, readers: usize },
}

static IN_USE: Mutex<BTreeMap<PathBuf, Use>> = Mutex::new(BTreeMap::new());

/// Permission to have a file open. Released when dropped, which must happen after the connection is closed.
pub(super) struct Lease(PathBuf);

/// Opens `file` for writing with `connect`, unless this process already has it open.
pub(super) fn write(file: PathBuf, connect: impl FnOnce() -> Result<Connection>) -> Result<(Connection, Lease)> {
    let mut in_use = in_use();
    if in_use.contains_key(&file) {
        return Err(held_here(&file));
    }
    let connection = connect()?;
    in_use.insert(file.clone(), Use::Writing);
    Ok((connection, Lease(file)))
}

/// Returns a connection for reading `file`: a clone of the shared one, or a new one from `connect`.
pub(super) fn read(file: PathBuf, connect: impl FnOnce() -> Result<Connection>) -> Result<(Connection, Lease)> {
    let mut in_use = in_use();
    let clone = |database: &Connection| {
        database.try_clone().map_err(|error| Error::internal("cannot open another connection").with_source(error))
    };
    match in_use.get_mut(&file) {
        Some(Use::Writing) => Err(held_here(&file)),
        Some(Use::Reading { database, readers }) => {
            let connection = clone(database)?;
            *readers += 1;
            Ok((connection, Lease(file)))
        }
        None => {
            let database = connect()?;
            let connection = clone(&database)?;
            in_use.insert(file.clone(), Use::Reading { database, readers: 1 });
            Ok((connection, Lease(file)))
        }
    }
}

/// Calls `access`, which opens the file without DuckDB, unless this process already has it open.
pub(super) fn unless_open<T: Default>(file: &Path, access: impl FnOnce() -> Result<T>) -> Result<T> {
    let in_use = in_use();
    if in_use.contains_key(file) { Ok(T::default()) } else { access() }
}

fn held_here(file: &Path) -> Error {
    locked(file, Some(std::process::id()))
}

/// Locks the map. Ignores poisoning, because a panic cannot leave the map inconsistent.
fn in_use() -> MutexGuard<'static, BTreeMap<PathBuf, Use>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut in_use = in_use();
        match in_use.get_mut(&self.0) {
            Some(Use::Reading { readers, .. }) if *readers > 1 => *readers -= 1,
            // The map is still locked, so the database is closed before another thread can open the file.
            _ => drop(in_use.remove(&self.0)),
        }
    }
}
