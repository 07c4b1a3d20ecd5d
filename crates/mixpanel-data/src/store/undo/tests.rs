use std::collections::BTreeSet;

use super::*;
use crate::store::access::Access;
use crate::store::database::{CommitError, Database};

/// The name of the attached database.
const NAME: &str = "my";

/// What a database contains: its tables with their rows, and its views, indexes and macros.
const CONTENTS: &str = "SELECT coalesce(string_agg(line, '\n' ORDER BY line), '') FROM (
    SELECT table_name AS line FROM duckdb_tables() WHERE NOT internal
    UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal
    UNION ALL SELECT index_name || ' ' || sql FROM duckdb_indexes())";

/// A database whose checkpoint was interrupted, and what it contains afterwards.
struct Torn {
    description: String,
    database: Vec<u8>,
    log: Option<Vec<u8>>,
    /// Whether DuckDB cannot read a block or a header of it.
    is_damaged: bool,
    expected: String,
}

/// A checkpoint.
struct Checkpoint {
    directory: tempfile::TempDir,
    undo: Vec<u8>,
    block_size: usize,
    /// The blocks that were saved.
    saved: BTreeSet<usize>,
    /// The file before the checkpoint, its log, and what it contains.
    before: (Vec<u8>, Option<Vec<u8>>, String),
    /// The file afterwards, and what it contains.
    after: (Vec<u8>, String),
}

fn path_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("my.db")
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db.wal")
}

fn attached(path: &Path, options: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let sql = format!(
        "SET checkpoint_threshold='1TB'; ATTACH '{}' AS {NAME} (TYPE duckdb{options}); USE {NAME}",
        path.display()
    );
    connection.execute_batch(&sql).unwrap();
    connection
}

/// Returns the contents of a database, with a sum over the rows of each table.
fn contents(path: &Path) -> Result<String> {
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
fn leave_log(path: &Path, changes: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold='1TB'").unwrap();
    connection.execute_batch(&format!("BEGIN; {changes}; COMMIT")).unwrap();
}

/// How changes reach the file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Through {
    /// The commit writes to the file.
    Commit,
    /// The commit writes to the log, which is checkpointed afterwards.
    Log,
    /// Another process has left a log.
    Replay,
}

impl Checkpoint {
    fn make(options: &str, setup: &str, through: Through, change: &str) -> Self {
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

    fn range(&self, block: usize) -> std::ops::Range<usize> {
        let start = HEADERS_BYTES + block * self.block_size;
        start..start + self.block_size
    }

    /// Returns the file before the checkpoint with the changed blocks for which `is_written` holds.
    fn partial(&self, is_written: impl Fn(usize) -> bool) -> Vec<u8> {
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
    fn overwritten(&self) -> Vec<usize> {
        let is_changed = |block: &usize| {
            let range = self.range(*block);
            self.after.0.get(range.clone()).is_some_and(|after| *after != self.before.0[range])
        };
        self.saved.iter().copied().filter(is_changed).collect()
    }

    fn torn(&self, description: String, database: Vec<u8>) -> Torn {
        let headers = database[..HEADERS_BYTES].chunks(HEADER_BYTES);
        let blocks = self.saved.iter().map(|block| &database[self.range(*block)]);
        let is_damaged = headers.chain(blocks).any(|bytes| !is_intact(bytes));
        Torn { description, database, log: self.before.1.clone(), is_damaged, expected: self.before.2.clone() }
    }

    /// Returns ways to interrupt the checkpoint: no or all blocks are written, and one write may be torn.
    fn ways_to_tear(&self) -> Vec<Torn> {
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
    fn put(&self, torn: &Torn) -> PathBuf {
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

const TABLE: &str = "CREATE TABLE old AS SELECT range AS i, 'x' || range AS t FROM range(30_000);
    CREATE TABLE other AS SELECT 1 AS a";
const REPLACE: &str = "CREATE TABLE new AS SELECT range AS i, 'y' || range AS t FROM range(40_000); DROP TABLE old;
    ALTER TABLE new RENAME TO old";
const UPSERT: &str = "DELETE FROM old WHERE i % 3 = 0; INSERT INTO old SELECT range * 3, 'z' FROM range(20_000)";

/// Interrupts a checkpoint in every way.
fn check(name: &str, checkpoint: &Checkpoint) {
    // An undo file relies on this: everything outside the saved blocks may be new.
    let mut bytes = checkpoint.partial(|_| true);
    bytes.resize(bytes.len().max(checkpoint.after.0.len()), 0);
    for block in checkpoint.overwritten() {
        let start = checkpoint.range(block).start;
        bytes[start..start + 16].fill(0xff);
    }
    let ruined = checkpoint.torn("all overwritten blocks are lost".to_owned(), bytes);
    let mut damaged = 0;
    for torn in checkpoint.ways_to_tear().into_iter().chain([ruined]) {
        let what = format!("{name}: {}", torn.description);
        let path = checkpoint.put(&torn);
        if torn.is_damaged {
            fs::remove_file(path_of(&path)).unwrap();
            assert!(contents(&path).is_err(), "{what}: this is no damage");
            checkpoint.put(&torn);
            damaged += 1;
        }
        assert_eq!(contents(&path).unwrap(), torn.expected, "{what}");
        assert!(!path_of(&path).exists(), "{what}");
    }
    assert!(damaged > 3, "{name}: {damaged} torn writes do damage");
    // It stays usable.
    let path = path_in(&checkpoint.directory);
    let database = Database::open(&path, Access::ReadWrite).unwrap();
    database.connection().execute_batch("BEGIN; CREATE TABLE added AS SELECT 5 AS a").unwrap();
    database.commit().unwrap();
    assert!(contents(&path).unwrap().contains("added"), "{name}");
}

#[test]
fn an_interrupted_checkpoint_is_undone() {
    use Through::{Commit, Log, Replay};
    let small = "INSERT INTO old VALUES (-1, 'small')";
    for (name, options, setup, through, change) in [
        ("a first table", "", "SELECT 1", Commit, TABLE),
        ("a new table", "", TABLE, Commit, "CREATE TABLE new AS SELECT range AS i FROM range(40_000)"),
        ("a replacement", "", TABLE, Commit, REPLACE),
        ("an append", "", TABLE, Commit, "INSERT INTO old SELECT range, 'z' FROM range(40_000)"),
        ("a small append", "", TABLE, Log, small),
        ("an upsert", "", TABLE, Commit, UPSERT),
        ("an update", "", TABLE, Commit, "UPDATE old SET t = t || 'u' WHERE i > 10_000"),
        ("an index", "", TABLE, Commit, "CREATE INDEX ix ON old (t); CREATE VIEW v AS FROM old"),
        ("a drop", "", TABLE, Log, "DROP TABLE other"),
        ("a log", "", TABLE, Replay, small),
        ("a log with an index", "", TABLE, Replay, "CREATE INDEX ix ON old (i)"),
        ("a large log", "", TABLE, Replay, REPLACE),
        ("small blocks", ", BLOCK_SIZE 16384, STORAGE_VERSION 'latest'", TABLE, Commit, REPLACE),
    ] {
        check(name, &Checkpoint::make(options, setup, through, change));
    }
}

#[test]
fn metadata_in_several_blocks_is_restored() {
    let tables = (0..120).map(|number| {
        let columns: Vec<String> = (0..40).map(|column| format!("{column} AS c{number}_{column}")).collect();
        format!("CREATE TABLE t{number} AS SELECT {};", columns.join(", "))
    });
    let setup = format!("{} {TABLE}", tables.collect::<String>());
    let change = "DROP TABLE t7; DROP TABLE t110; INSERT INTO t90 FROM t90";
    let checkpoint = Checkpoint::make("", &setup, Through::Log, change);
    assert!(checkpoint.saved.len() > 1);
    check("many tables", &checkpoint);
}

fn a_torn_replacement() -> (Checkpoint, Torn) {
    let checkpoint = Checkpoint::make("", TABLE, Through::Commit, REPLACE);
    let torn = checkpoint.ways_to_tear().into_iter().find(|torn| torn.is_damaged).unwrap();
    (checkpoint, torn)
}

#[test]
fn a_finished_checkpoint_is_kept() {
    let (checkpoint, torn) = a_torn_replacement();
    let done = Torn { database: checkpoint.after.0.clone(), ..torn };
    let path = checkpoint.put(&done);
    assert_eq!(settle(&path).unwrap(), None);
    assert!(fs::read(&path).unwrap() == checkpoint.after.0 && !path_of(&path).exists());
    // A torn write of a later checkpoint is not undone to an earlier one.
    let mut database = checkpoint.after.0.clone();
    let start = checkpoint.range(checkpoint.overwritten()[0]).start;
    database[start + 100] ^= 1;
    let later = Torn { database: database.clone(), ..done };
    assert_eq!(settle(&checkpoint.put(&later)).unwrap(), None);
    assert!(fs::read(&path).unwrap() == database);
}

#[test]
fn a_readable_file_is_left_unchanged() {
    let (checkpoint, torn) = a_torn_replacement();
    // Another database may have the same headers.
    let mut database = checkpoint.before.0.clone();
    let data = (0..).find(|block| !checkpoint.saved.contains(block)).unwrap();
    database[checkpoint.range(data).start + 5] ^= 1;
    let intact = Torn { database: database.clone(), ..torn };
    let path = checkpoint.put(&intact);
    assert_eq!(settle(&path).unwrap(), None);
    assert!(fs::read(&path).unwrap() == database && !path_of(&path).exists());
    // One with another main header is not this one.
    database[200] ^= 1;
    let start = checkpoint.range(checkpoint.overwritten()[0]).start;
    database[start + 100] ^= 1;
    let other = Torn { database: database.clone(), ..intact };
    assert_eq!(settle(&checkpoint.put(&other)).unwrap(), None);
    assert!(fs::read(&path).unwrap() == database);
}

#[test]
fn an_incomplete_or_damaged_undo_file_has_no_effect() {
    let (checkpoint, torn) = a_torn_replacement();
    let (path, whole) = (path_in(&checkpoint.directory), &checkpoint.undo);
    let mut variants: Vec<Vec<u8>> =
        [0, 1, 7, 8, 24, 5_000, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec()).into();
    for at in [8, 15, 16, 24, 4_096, 8_200, 12_400, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        variants.push(flipped);
    }
    variants.push([whole.as_slice(), b"x"].concat());
    variants.push(vec![0; whole.len()]);
    variants.push(b"mp-undo2 of another version".to_vec());
    variants.push(b"notes".to_vec());
    for undo in variants {
        checkpoint.put(&torn);
        fs::write(path_of(&path), &undo).unwrap();
        assert_eq!(contents(&path).unwrap_err().kind(), ErrorKind::DatabaseUnusable);
        assert!(fs::read(&path).unwrap() == torn.database && fs::read(path_of(&path)).unwrap() == undo);
        fs::write(&path, &checkpoint.before.0).unwrap();
        assert_eq!(contents(&path).unwrap(), checkpoint.before.2);
    }
}

#[test]
fn a_file_of_another_kind_prevents_a_commit_and_is_kept() {
    let (checkpoint, _) = a_torn_replacement();
    let path = path_in(&checkpoint.directory);
    let commit = || {
        fs::write(&path, &checkpoint.before.0).unwrap();
        let database = Database::open(&path, Access::ReadWrite).unwrap();
        database.connection().execute_batch("BEGIN; DROP TABLE old").unwrap();
        database.commit()
    };
    for text in ["notes", "mp-undo2"] {
        fs::write(path_of(&path), text).unwrap();
        let Err(CommitError::NotBegun(error)) = commit() else { panic!("it is not committed") };
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert_eq!(fs::read_to_string(path_of(&path)).unwrap(), text);
        assert_eq!(contents(&path).unwrap(), checkpoint.before.2);
    }
    fs::write(path_of(&path), &checkpoint.undo[..9]).unwrap();
    commit().unwrap();
    assert!(!path_of(&path).exists());
}

#[cfg(unix)]
#[test]
fn an_undo_file_has_the_permissions_of_the_database_and_is_never_reached_through_a_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (checkpoint, torn) = a_torn_replacement();
    let path = checkpoint.put(&torn);
    let elsewhere = checkpoint.directory.path().join("elsewhere");
    fs::rename(path_of(&path), &elsewhere).unwrap();
    symlink(&elsewhere, path_of(&path)).unwrap();
    assert_eq!(settle(&path).unwrap(), None);
    assert!(fs::read(&path).unwrap() == torn.database);
    fs::remove_file(path_of(&path)).unwrap();

    fs::write(&path, &checkpoint.before.0).unwrap();
    let temporary = checkpoint.directory.path().join(".my.db.undo.tmp");
    let target = checkpoint.directory.path().join("target");
    for mode in [0o600, 0o640, 0o664] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        symlink(&target, &temporary).unwrap();
        file::write(&path, &File::open(&path).unwrap(), &[0]).unwrap();
        assert_eq!(fs::symlink_metadata(path_of(&path)).unwrap().permissions().mode() & 0o777, mode);
        assert!(!target.exists() && fs::symlink_metadata(&temporary).is_err());
    }
}

/// A log that another process has left may be checkpointed as soon as the file is open for writing.
#[test]
fn opening_a_file_with_a_log_saves_its_blocks_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    attached(&path, "").execute_batch(TABLE).unwrap();
    leave_log(&path, "CREATE TABLE logged AS SELECT range AS i FROM range(1000)");
    let database = Database::open(&path, Access::ReadWrite).unwrap();
    let undo = fs::read(path_of(&path)).unwrap();
    drop(database);
    assert!(!path_of(&path).exists() && !log_of(&path).exists());
    // Closing it, at the latest, has checkpointed the log.
    assert!(undo[24..24 + HEADERS_BYTES] != fs::read(&path).unwrap()[..HEADERS_BYTES]);
    assert!(contents(&path).unwrap().contains("logged"));
}

/// An undo file is not needed for a log: whatever a torn write leaves of its end, all earlier commits are replayed.
#[test]
fn a_log_that_is_cut_off_has_all_earlier_commits() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    attached(&path, "").execute_batch(&format!("{TABLE}; CHECKPOINT {NAME}")).unwrap();
    let mut states = vec![contents(&path).unwrap()];
    let mut lengths = vec![0];
    for change in ["CREATE TABLE more AS SELECT range AS i FROM range(90)", "DELETE FROM old WHERE i < 30", UPSERT] {
        leave_log(&path, change);
        states.push(contents(&path).unwrap());
        lengths.push(fs::read(log_of(&path)).unwrap().len());
    }
    let (database, log) = (fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap());
    for cut in (0..log.len()).step_by(log.len() / 41).chain(lengths.iter().copied()) {
        fs::write(&path, &database).unwrap();
        fs::write(log_of(&path), &log[..cut]).unwrap();
        let commits = lengths.iter().filter(|length| **length <= cut).count();
        assert_eq!(contents(&path).unwrap(), states[commits - 1], "{cut} bytes");
    }
}

#[test]
fn checksums_are_those_of_duckdb() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    attached(&path, "").execute_batch(&format!("{TABLE}; CHECKPOINT {NAME}")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let (headers, blocks) = bytes.split_at_mut(HEADERS_BYTES);
    assert_eq!(layout::block_size(headers), Some(262_144));
    assert!(headers.chunks(HEADER_BYTES).chain(blocks.chunks(262_144)).all(is_intact));
    for at in [0, 7, 8, 1_000, 262_143] {
        blocks[at] ^= 1;
        assert!(!is_intact(&blocks[..262_144]), "{at}");
        blocks[at] ^= 1;
    }
    assert!(!is_intact(&[]) && !is_intact(&blocks[..262_143]));
    for (size, known) in [(0, Some(262_144)), (16_384, Some(16_384)), (8_192, None), (1 << 40, None)] {
        headers[4_136..4_144].copy_from_slice(&u64::to_le_bytes(size));
        assert_eq!(layout::block_size(headers), known);
    }
}
