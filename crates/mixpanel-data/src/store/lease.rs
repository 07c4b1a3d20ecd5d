//! Ensures that a file is open at most once per process.
//!
//! DuckDB's file lock only excludes other *processes*. If *this* process opens a file twice, both databases get the
//! lock, one can write while the other reads, and closing either one drops the lock of both. Two that write overwrite
//! each other's blocks without an error. Therefore all readers in this process share one open database, a writer has
//! exclusive access, and a file that another library has open is not opened at all.
//! docs/decisions/0016-two-engines.md explains what that covers.

#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duckdb::Connection;

use super::failure::{in_use_here, open_outside};
use super::open_files::{self, FileId};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};

enum Use {
    Writing,
    Reading { database: Connection, readers: usize },
}

struct Entry {
    file: Option<FileId>,
    usage: Use,
}

impl Entry {
    fn refuse(&self, path: &Path) -> Error {
        match self.usage {
            Use::Writing => in_use_here(path, "another call uses it", "retry when that call has finished"),
            Use::Reading { .. } => {
                in_use_here(path, "a query reads it", "retry when its result has been read or closed")
            }
        }
    }
}

type Entries = BTreeMap<PathBuf, Entry>;

/// The files that this process has open, and those that wait for the readers of one to end.
struct InUse {
    entries: Entries,
    /// The file for each waiting writer.
    wanted: Vec<PathBuf>,
}

static IN_USE: Mutex<InUse> = Mutex::new(InUse { entries: Entries::new(), wanted: Vec::new() });

/// How long a call waits for another call of this process that writes to the same database, such as the load of a fetch
/// in another thread. A load of ten million rows takes less than a minute. (Unit tests wait for refusals.)
const OWN_WRITER_WAIT: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_secs(60) };

/// How long a writer waits for readers to end before it is refused, and a new reader for a writer that waits: without
/// this turn, threads whose queries overlap would keep a writer out for ever. It is short, because a reader may be the
/// thread that waits here, with a result that it has not read to the end.
pub(crate) const TURN: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_millis(500) };

/// Notified when a lease ends, and when a writer no longer waits.
static RELEASED: Condvar = Condvar::new();

/// Permission to have a file open. Released when dropped, which must happen after the connection is closed.
pub(super) struct Lease {
    path: PathBuf,
    /// If the file is open for writing, the number of its descriptors when it had just been opened.
    descriptors: Option<(FileId, usize)>,
}

impl Lease {
    /// Checks that no other library of this process has opened the file since it was opened for writing.
    ///
    /// # Errors
    /// `DatabaseLocked`. A commit would mix with the writes of that library.
    pub(super) fn check_still_alone(&self) -> Result<()> {
        match self.descriptors {
            Some((file, own)) if open_files::count(file) > own => Err(open_outside(&self.path)),
            _ => Ok(()),
        }
    }
}

/// Opens a file for writing with `connect`, unless this process already has it open.
///
/// # Errors
/// `DatabaseLocked` if it has, and those of `connect`.
pub(super) fn write(path: PathBuf, connect: impl FnOnce() -> Result<Connection>) -> Result<(Connection, Lease)> {
    let begun = Stopwatch::start();
    let mut in_use = without_readers(without_writer(&path), &path);
    // The readers may have ended for another writer.
    while has_writer(&in_use, &path) && begun.elapsed() < OWN_WRITER_WAIT {
        in_use = without_readers(wait(in_use, OWN_WRITER_WAIT, |in_use| has_writer(in_use, &path)), &path);
    }
    let file = check(&in_use, &path)?;
    let connection = connect()?;
    in_use.entries.insert(path.clone(), Entry { file, usage: Use::Writing });
    let descriptors = file.map(|file| (file, open_files::count(file)));
    Ok((connection, Lease { path, descriptors }))
}

/// Returns a connection for reading a file: a clone of the shared one, or a new one from `connect`.
///
/// # Errors
/// `DatabaseLocked` if this process already has it open for anything else, and those of `connect`.
pub(super) fn read(path: PathBuf, connect: impl FnOnce() -> Result<Connection>) -> Result<(Connection, Lease)> {
    let mut in_use = without_writer(&path);
    if in_use.wanted.contains(&path) {
        in_use = wait(in_use, TURN, |in_use| in_use.wanted.contains(&path));
        in_use = wait(in_use, OWN_WRITER_WAIT, |in_use| has_writer(in_use, &path));
    }
    let clone = |database: &Connection| {
        database.try_clone().map_err(|error| Error::internal("cannot open another connection").with_source(error))
    };
    if let Some(Entry { usage: Use::Reading { database, readers }, .. }) = in_use.entries.get_mut(&path) {
        let connection = clone(database)?;
        *readers += 1;
        return Ok((connection, Lease { path, descriptors: None }));
    }
    let file = check(&in_use, &path)?;
    let database = connect()?;
    let connection = clone(&database)?;
    in_use.entries.insert(path.clone(), Entry { file, usage: Use::Reading { database, readers: 1 } });
    Ok((connection, Lease { path, descriptors: None }))
}

/// Calls `access`, which opens the file without DuckDB, unless there is a lease for it.
///
/// # Errors
/// `DatabaseLocked` if another library of this process has the file open, and those of `access`.
pub(super) fn unless_open<T: Default>(path: &Path, access: impl FnOnce() -> Result<T>) -> Result<T> {
    let in_use = in_use();
    if holder(&in_use, path, identify(path)).is_some() {
        return Ok(T::default());
    }
    check(&in_use, path)?;
    access()
}

/// Locks the map when no other thread writes to the file. The writers of this process end by themselves, so they are
/// waited for, but not longer than `OWN_WRITER_WAIT`.
fn without_writer(path: &Path) -> MutexGuard<'static, InUse> {
    wait(in_use(), OWN_WRITER_WAIT, |in_use| has_writer(in_use, path))
}

fn has_writer(in_use: &InUse, path: &Path) -> bool {
    matches!(holder(in_use, path, identify(path)), Some(Entry { usage: Use::Writing, .. }))
}

/// Waits up to a [`TURN`] for the readers of the file to end. New ones wait as long.
fn without_readers<'a>(mut in_use: MutexGuard<'a, InUse>, path: &Path) -> MutexGuard<'a, InUse> {
    in_use.wanted.push(path.to_owned());
    let has_readers =
        |in_use: &InUse| matches!(holder(in_use, path, identify(path)), Some(Entry { usage: Use::Reading { .. }, .. }));
    in_use = wait(in_use, TURN, has_readers);
    let own = in_use.wanted.iter().position(|wanted| wanted == path);
    own.map(|own| in_use.wanted.swap_remove(own));
    RELEASED.notify_all();
    in_use
}

/// Waits while the condition holds, but not longer than `at_most`.
fn wait<'a>(in_use: MutexGuard<'a, InUse>, at_most: Duration, is_so: impl Fn(&InUse) -> bool) -> MutexGuard<'a, InUse> {
    let waited = RELEASED.wait_timeout_while(in_use, at_most, |in_use| is_so(in_use));
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Checks that this process does not have the file open, under any name. Returns the file's identity.
///
/// Every descriptor of this library's own belongs to a lease, or is closed before the map is unlocked.
fn check(in_use: &InUse, path: &Path) -> Result<Option<FileId>> {
    let file = identify(path);
    match holder(in_use, path, file) {
        Some(entry) => Err(entry.refuse(path)),
        None if file.is_some_and(|file| open_files::count(file) > 0) => Err(open_outside(path)),
        None => Ok(file),
    }
}

/// Returns the entry of a file. A hard link is another name of the same file.
fn holder<'a>(in_use: &'a InUse, path: &Path, file: Option<FileId>) -> Option<&'a Entry> {
    let same_file = || in_use.entries.values().find(|entry| file.is_some() && entry.file == file);
    in_use.entries.get(path).or_else(same_file)
}

/// Returns the identity of a file, if the system has one for it.
fn identify(path: &Path) -> Option<FileId> {
    FileId::of(path).ok().filter(|_| cfg!(unix))
}

/// Locks the map. Ignores poisoning, because a panic cannot leave the map inconsistent.
fn in_use() -> MutexGuard<'static, InUse> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut in_use = in_use();
        match in_use.entries.get_mut(&self.path) {
            Some(Entry { usage: Use::Reading { readers, .. }, .. }) if *readers > 1 => *readers -= 1,
            // The map is still locked, so the database is closed before another thread can open the file.
            _ => drop(in_use.entries.remove(&self.path)),
        }
        RELEASED.notify_all();
    }
}
