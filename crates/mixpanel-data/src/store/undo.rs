//! Undoes a checkpoint that was interrupted.
//!
//! Before DuckDB writes the header that commits a checkpoint, it overwrites metadata blocks in place. They stay valid
//! for the current header, unless such a write is torn: then DuckDB can no longer read the file. So these blocks are
//! saved to an undo file before every checkpoint, and the next process that opens the database restores them if
//! necessary. docs/decisions/0014-torn-writes.md explains why that is correct.

mod file;
mod layout;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use duckdb::Connection;

pub(crate) use self::file::check_name;
use self::file::{Content, Undo, path_of};
use self::layout::{HEADER_BYTES, HEADERS_BYTES, is_intact, read_at};
use super::failure::{locked, statement};
use super::sql_text::literal;
use crate::durable::{self, Exclusion, Trust, lock_records};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::kill_point::kill_point;
use crate::warning::Warning;

/// Guards a database that is open for writing. Must be dropped after DuckDB has closed the file.
pub(super) struct Guard {
    database: PathBuf,
    /// The database file. It is opened before DuckDB writes, because the operating system reports a failed writeback
    /// only through descriptors that were open at the time. It is closed after DuckDB has closed the file, because
    /// closing it drops DuckDB's lock.
    file: File,
    /// The name under which it is attached.
    name: String,
    is_saved: bool,
}

impl Guard {
    /// Creates the guard of a database that DuckDB has not opened yet.
    ///
    /// # Errors
    /// `Storage`.
    pub(super) fn new(database: &Path) -> Result<Self> {
        let file = File::open(database).map_err(|error| Error::io("read", database, error))?;
        Ok(Self { database: database.to_owned(), file, name: String::new(), is_saved: false })
    }

    /// Sets the name under which DuckDB has attached the database.
    pub(super) fn attached(&mut self, name: String) {
        self.name = name;
    }

    /// Saves what the next checkpoint may overwrite.
    ///
    /// # Errors
    /// `DiskFull` or `Storage`. The checkpoint must not begin.
    pub(super) fn save(&mut self, connection: &Connection) -> Result<()> {
        let fail = |error| statement("list the metadata blocks of the database", &error);
        let sql = format!("SELECT block_id FROM system.main.pragma_metadata_info({})", literal(&self.name));
        let mut query = connection.prepare(&sql).map_err(fail)?;
        let blocks = query.query_map([], |row| row.get::<_, u64>(0)).map_err(fail)?;
        let blocks: Vec<u64> = blocks.collect::<Result<_, _>>().map_err(fail)?;
        file::write(&self.database, &self.file, &blocks)?;
        self.is_saved = true;
        Ok(())
    }

    /// Syncs the database and removes the undo file, or restores the blocks if the checkpoint failed.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` if the database cannot be synced; the undo file then stays.
    pub(super) fn finish(mut self, trust: Trust) -> Result<()> {
        let is_saved = std::mem::take(&mut self.is_saved);
        self.file.sync_all().map_err(|error| Error::io("sync the database", &self.database, error))?;
        if trust == Trust::Disk {
            durable::evict_from_page_cache(&self.file);
        }
        if is_saved && let Err(error) = settle_file(&self.database, OnDisk::Synced) {
            // The next process tries again.
            tracing::warn!("{error}");
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_saved && self.file.sync_all().is_ok() {
            // After an error, the next process tries again.
            let _ = settle_file(&self.database, OnDisk::Synced);
        }
    }
}

/// Returns whether a database may have an undo file.
pub(super) fn is_present(database: &Path) -> bool {
    let found = fs::symlink_metadata(path_of(database));
    !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Removes the undo file of a database, if it has one, after restoring the saved blocks if necessary. Returns a warning
/// if it restored any.
///
/// Call this only while this process does not have the database open: closing the file drops DuckDB's lock.
///
/// # Errors
/// `DatabaseLocked` or `Storage` if DuckDB cannot read the database and the blocks cannot be restored.
pub(super) fn settle(database: &Path) -> Result<Option<Warning>> {
    settle_file(database, OnDisk::Unknown)
}

/// Whether a database file is on disk as it is in the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDisk {
    /// It has just been synced.
    Synced,
    Unknown,
}

fn settle_file(database: &Path, on_disk: OnDisk) -> Result<Option<Warning>> {
    if !is_present(database) {
        return Ok(None);
    }
    let path = path_of(database);
    let (file, refusal) = match File::options().read(true).write(true).open(database) {
        Ok(file) => (file, None),
        // If it cannot be read either, opening it says so.
        Err(refusal) => match File::open(database) {
            Ok(file) => (file, Some(refusal)),
            Err(_) => return Ok(None),
        },
    };
    // A process that writes holds DuckDB's lock, and its undo file is in use. Readers hold a shared lock.
    let is_alone = refusal.is_none() && lock_records(&file, Exclusion::All).is_ok();
    if !is_alone && lock_records(&file, Exclusion::Writers).is_err() {
        return Ok(None);
    }
    let Content::Undo(undo) = file::read(&path, database)? else { return Ok(None) };
    let fail = |error| Error::io("read", database, error);
    let is_torn = is_torn(&file, &undo).map_err(fail)?;
    if is_torn && !is_alone {
        return Err(match refusal {
            None => locked(database, None),
            Some(refusal) => not_writable(database, &path, refusal),
        });
    }
    if is_torn {
        restore(&file, &undo).map_err(|error| not_writable(database, &path, error))?;
        kill_point("undo-restored");
    } else if on_disk == OnDisk::Unknown && file.sync_all().is_err() {
        // The header that is there must be on disk before the blocks of the previous one are forgotten.
        return Ok(None);
    }
    // If it cannot be removed, it has no effect on later headers, nor on intact blocks.
    let _ = fs::remove_file(&path);
    Ok(is_torn.then(|| Warning::DatabaseRepaired { database: database.to_owned() }))
}

/// Returns whether the checkpoint after the undo file was written did not reach its header, and DuckDB cannot read a
/// block or header that it has overwritten.
fn is_torn(file: &File, undo: &Undo) -> io::Result<bool> {
    let mut headers = vec![0; HEADERS_BYTES];
    read_at(file, 0, &mut headers)?;
    let mut is_torn = false;
    for (number, (now, saved)) in headers.chunks(HEADER_BYTES).zip(undo.headers.chunks(HEADER_BYTES)).enumerate() {
        // A main header that differs belongs to another database; a database header, to a later checkpoint.
        if now != saved && (number == 0 || is_intact(now)) {
            return Ok(false);
        }
        is_torn |= now != saved;
    }
    let mut now = Vec::new();
    undo.each_block(|position, saved| {
        now.resize(saved.len(), 0);
        read_at(file, position, &mut now)?;
        is_torn |= now != saved && !is_intact(&now);
        Ok(())
    })?;
    Ok(is_torn)
}

/// Writes the saved blocks and headers that differ back to the database.
fn restore(file: &File, undo: &Undo) -> io::Result<()> {
    let mut now = Vec::new();
    let mut put = |mut file: &File, position: u64, saved: &[u8]| {
        now.resize(saved.len(), 0);
        read_at(file, position, &mut now)?;
        if now != saved {
            file.seek(SeekFrom::Start(position))?;
            file.write_all(saved)?;
        }
        Ok(())
    };
    undo.each_block(|position, saved| put(file, position, saved))?;
    file.sync_all()?;
    put(file, 0, &undo.headers)?;
    file.sync_all()
}

/// Returns the error for a database that must be repaired and cannot be written.
fn not_writable(database: &Path, undo: &Path, refusal: io::Error) -> Error {
    let message = format!(
        "a process was stopped while it wrote to `{}`, and the file cannot be repaired; nothing is lost: `{}` has what \
         was overwritten",
        database.display(),
        undo.display()
    );
    let error = Error::new(ErrorKind::Storage, message)
        .with_fault(Fault::InterruptedWrite)
        .with_detail("suggestion", "copy both files, and the `.wal` file if there is one, to a writable directory")
        .with_path(database);
    let error = match refusal.raw_os_error() {
        Some(number) => error.with_detail("os_error", number),
        None => error,
    };
    error.with_source(refusal)
}
