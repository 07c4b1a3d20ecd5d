//! Checkpoints that are interrupted in every way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::Guard;
use super::file::{self, Content, path_of};
use super::layout::{HEADER_BYTES, HEADERS_BYTES, is_intact};
use crate::error::Result;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::statement;

/// The name of the attached database.
pub(super) const NAME: &str = "my";

/// What a database contains: its tables with their rows, and its views, indexes and macros.
pub(super) const CONTENTS: &str = "SELECT coalesce(string_agg(line, '\n' ORDER BY line), '') FROM (
    SELECT table_name AS line FROM duckdb_tables() WHERE NOT internal
    UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal
    UNION ALL SELECT index_name || ' ' || sql FROM duckdb_indexes())";

/// A database whose checkpoint was interrupted, and what it contains afterwards.
pub(super) struct Torn {
    pub(super) description: String,
    pub(super) database: Vec<u8>,
    pub(super) log: Option<Vec<u8>>,
    /// Whether DuckDB cannot read a block or a header of it.
    pub(super) is_damaged: bool,
    pub(super) expected: String,
}

/// A checkpoint.
pub(super) struct Checkpoint {
    pub(super) directory: tempfile::TempDir,
    pub(super) undo: Vec<u8>,
    pub(super) block_size: usize,
    /// The blocks that were saved.
    pub(super) saved: BTreeSet<usize>,
    /// The file before the checkpoint, its log, and what it contains.
    pub(super) before: (Vec<u8>, Option<Vec<u8>>, String),
    /// The file afterwards, and what it contains.
    pub(super) after: (Vec<u8>, String),
}

pub(super) fn path_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("my.db")
}

pub(super) fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db.wal")
}

pub(super) fn attached(path: &Path, options: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let sql = format!(
        "SET checkpoint_threshold='1TB'; ATTACH '{}' AS {NAME} (TYPE duckdb{options}); USE {NAME}",
        path.display()
    );
    connection.execute_batch(&sql).unwrap();
    connection
}

/// Returns the contents of a database, with a sum over the rows of each table.
pub(super) fn contents(path: &Path) -> Result<String> {
    let database = Database::open(path, Access::ReadOnly)?;
    let fail = |error| statement("read", &error);
    let connection = database.connection();
    let mut text: String = connection.query_row(CONTENTS, [], |row| row.get(0)).map_err(fail)?;
    let mut tables = connection.prepare("SELECT table_name FROM duckdb_tables() ORDER BY 1").map_err(fail)?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).map_err(fail)?.collect::<Result<_, _>>().unwrap();
    for table in tables {
        let sql = format!("SELECT ' ' || count(*) || ' ' || coalesce(sum(hash(t::VARCHAR)), 0) FROM \"{table}\" t");
        text.push_str(&connection.query_row(&sql, [], |row| row.get::<_, String>(0)).map_err(fail)?);
    }
    Ok(text)
}

/// Leaves these changes in the log.
pub(super) fn leave_log(path: &Path, changes: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold='1TB'").unwrap();
    connection.execute_batch(&format!("BEGIN; {changes}; COMMIT")).unwrap();
}

/// How changes reach the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Through {
    /// The commit writes to the file.
    Commit,
    /// The commit writes to the log, which is checkpointed afterwards.
    Log,
    /// Another process has left a log.
    Replay,
}

impl Checkpoint {
    pub(super) fn make(options: &str, setup: &str, through: Through, change: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = path_in(&directory);
        attached(&path, options).execute_batch(&format!("{setup}; CHECKPOINT {NAME}")).unwrap();
        let mut old = contents(&path).unwrap();
        if through == Through::Replay {
            leave_log(&path, change);
            // Reading an index from a log checkpoints it.
            let files = [path.clone(), log_of(&path)].map(|path| (fs::read(&path).unwrap(), path));
            old = contents(&path).unwrap();
            files.into_iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
        }
        let mut guard = Guard::new(&path).unwrap();
        let connection = attached(&path, "");
        guard.attached(NAME.to_owned());
        let threshold = if through == Through::Commit { "1KB" } else { "1TB" };
        if through != Through::Replay {
            connection.execute_batch(&format!("BEGIN; {change}")).unwrap();
        }
        guard.save(&connection).unwrap();
        let undo = fs::read(path_of(&path)).unwrap();
        connection.execute_batch(&format!("SET checkpoint_threshold='{threshold}'")).unwrap();
        let mut before = fs::read(&path).unwrap();
        if through != Through::Replay {
            connection.execute_batch("COMMIT").unwrap();
        }
        if through == Through::Log {
            before = fs::read(&path).unwrap();
        }
        let log = fs::read(log_of(&path)).ok().filter(|log| !log.is_empty());
        assert_eq!(log.is_some(), through != Through::Commit, "{change}");
        connection.execute_batch("CHECKPOINT").unwrap();
        drop(connection);
        drop(guard);
        assert!(!path_of(&path).exists() && !log_of(&path).exists());
        let after = (fs::read(&path).unwrap(), contents(&path).unwrap());
        assert_eq!(old == after.1, through == Through::Replay, "{change} changes something");
        let old = if through == Through::Log { after.1.clone() } else { old };
        let mut checkpoint =
            Self { directory, undo, block_size: 0, saved: BTreeSet::new(), before: (before, log, old), after };
        checkpoint.read_undo();
        checkpoint
    }

    fn read_undo(&mut self) {
        let path = path_in(&self.directory);
        fs::write(path_of(&path), &self.undo).unwrap();
        let Content::Undo(undo) = file::read(&path_of(&path), &path).unwrap() else { panic!("it is complete") };
        self.block_size = undo.block_size.try_into().unwrap();
        let mut each = |position: u64, bytes: &[u8]| {
            assert!(is_intact(bytes));
            self.saved.insert((usize::try_from(position).unwrap() - HEADERS_BYTES) / self.block_size);
            Ok(())
        };
        undo.each_block(&mut each).unwrap();
        fs::remove_file(path_of(&path)).unwrap();
    }

    pub(super) fn range(&self, block: usize) -> std::ops::Range<usize> {
        let start = HEADERS_BYTES + block * self.block_size;
        start..start + self.block_size
    }

    /// Returns the file before the checkpoint with the changed blocks for which `is_written` holds.
    pub(super) fn partial(&self, is_written: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.before.0.clone();
        for block in (0..).take_while(|block| self.range(*block).end <= self.after.0.len()) {
            let range = self.range(block);
            if bytes.len() < range.end {
                bytes.resize(range.end, 0);
            }
            if is_written(block) {
                bytes[range.clone()].copy_from_slice(&self.after.0[range]);
            }
        }
        bytes
    }

    /// Returns the saved blocks that the checkpoint changed.
    pub(super) fn overwritten(&self) -> Vec<usize> {
        let is_changed = |block: &usize| {
            let range = self.range(*block);
            self.after.0.get(range.clone()).is_some_and(|after| *after != self.before.0[range])
        };
        self.saved.iter().copied().filter(is_changed).collect()
    }

    pub(super) fn torn(&self, description: String, database: Vec<u8>) -> Torn {
        let headers = database[..HEADERS_BYTES].chunks(HEADER_BYTES);
        let blocks = self.saved.iter().map(|block| &database[self.range(*block)]);
        let is_damaged = headers.chain(blocks).any(|bytes| !is_intact(bytes));
        Torn { description, database, log: self.before.1.clone(), is_damaged, expected: self.before.2.clone() }
    }

    /// Returns ways to interrupt the checkpoint: no or all blocks are written, and one write may be torn.
    pub(super) fn ways_to_tear(&self) -> Vec<Torn> {
        let mut all = vec![
            self.torn("nothing is written".into(), self.partial(|_| false)),
            self.torn("all blocks are written".into(), self.partial(|_| true)),
        ];
        let size = self.block_size;
        // Pages reach the disk in any order when the power fails.
        let written = [
            (0..4_096, false),
            (0..4_096, true),
            (0..size / 2, true),
            (0..size - 4_096, true),
            (size - 4_096..size, true),
        ];
        for block in self.overwritten().into_iter().take(3) {
            for (part, others) in written.clone() {
                let mut bytes = self.partial(|other| others && other != block);
                let start = self.range(block).start;
                let range = start + part.start..start + part.end;
                bytes[range.clone()].copy_from_slice(&self.after.0[range]);
                all.push(self.torn(format!("bytes {part:?} of block {block}, others written: {others}"), bytes));
            }
        }
        for length in [8, 16, 40, 64] {
            let mut bytes = self.partial(|_| true);
            let changed = (1..3).find(|slot| {
                let range = slot * HEADER_BYTES..(slot + 1) * HEADER_BYTES;
                bytes[range.clone()] != self.after.0[range]
            });
            let start = changed.unwrap() * HEADER_BYTES;
            bytes[start..start + length].copy_from_slice(&self.after.0[start..start + length]);
            let torn = self.torn(format!("{length} bytes of the header"), bytes);
            // The rest of a header is always zero.
            all.extend(Some(torn).filter(|torn| torn.is_damaged));
        }
        all
    }

    /// Puts the database, the undo file and the log where they belong.
    pub(super) fn put(&self, torn: &Torn) -> PathBuf {
        let path = path_in(&self.directory);
        fs::write(&path, &torn.database).unwrap();
        fs::write(path_of(&path), &self.undo).unwrap();
        match &torn.log {
            Some(log) => fs::write(log_of(&path), log).unwrap(),
            None => drop(fs::remove_file(log_of(&path))),
        }
        path
    }
}

pub(super) const TABLE: &str = "CREATE TABLE old AS SELECT range AS i, 'x' || range AS t FROM range(30_000);
    CREATE TABLE other AS SELECT 1 AS a";
pub(super) const REPLACE: &str =
    "CREATE TABLE new AS SELECT range AS i, 'y' || range AS t FROM range(40_000); DROP TABLE old;
    ALTER TABLE new RENAME TO old";
pub(super) const UPSERT: &str =
    "DELETE FROM old WHERE i % 3 = 0; INSERT INTO old SELECT range * 3, 'z' FROM range(20_000)";
