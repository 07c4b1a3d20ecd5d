//! Torn writes: the process is killed while the kernel copies a block of the database, or the power fails.
//!
//! A kill at a system call never tears a write. So the process is killed before its checkpoint and then completed, and
//! the files that a torn write would have left are put together from the database before and after.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use rustix::fs::{FlockOperation, fcntl_lock};

use crate::cases::{Failures, Length, has_kill_points};
use crate::disks::{ENOUGH, Mount, data};
use crate::fetches::{Kind, Table, Undisturbed, check_private, server, table};
use crate::support::{Home, Simulator};
use crate::tools::{finish, is_root, skip_unless};

/// The sizes of a page, and of all headers of a DuckDB file.
const PAGE: usize = 4_096;
const HEADERS: usize = 3 * PAGE;

/// How many bytes of a torn block are written: long, quick. `None` is half of it.
const LENGTHS: ([Option<usize>; 4], [Option<usize>; 1]) =
    ([Some(PAGE), None, Some((256 << 10) - PAGE), Some(512)], [Some(PAGE)]);

/// A command that writes to the database.
#[derive(Clone, Copy, Debug)]
enum Writer {
    Fetch(Kind),
    /// Completes a table that lacks a page.
    Completion,
    Drop,
    /// Reads a database whose log must be applied first.
    Read,
    /// Fetches into a database with a log.
    FetchWithLog,
}

impl Writer {
    const ALL: [Self; 8] = [
        Self::Fetch(Kind::New),
        Self::Fetch(Kind::Replace),
        Self::Fetch(Kind::Append),
        Self::Fetch(Kind::Upsert),
        Self::Completion,
        Self::Drop,
        Self::Read,
        Self::FetchWithLog,
    ];

    fn begin(self, undisturbed: &Undisturbed) -> (Home, Simulator) {
        let kind = match self {
            Self::Fetch(kind) => kind,
            Self::Completion => {
                let simulator = Simulator::with_faults(520, &["pages=3 status=400 times=1"]);
                let home = Home::new().with_server(&simulator);
                let _partial = home.run(&Kind::New.fetch()).exits(1);
                return (home, simulator);
            }
            Self::Drop | Self::Read | Self::FetchWithLog => Kind::Replace,
        };
        let simulator = server();
        let home = undisturbed.begin(kind, &simulator);
        if matches!(self, Self::Read | Self::FetchWithLog) {
            leave_log(&home.database());
        }
        (home, simulator)
    }

    fn command(self) -> Vec<&'static str> {
        match self {
            Self::Fetch(kind) => kind.fetch(),
            Self::Completion => vec!["fetch", "resume"],
            Self::Drop => vec!["inspect", "drop", "profiles", "--force"],
            Self::Read => vec!["inspect", "tables"],
            Self::FetchWithLog => Kind::Append.fetch(),
        }
    }

    /// Returns the command that completes the killed one.
    fn again(self) -> Vec<&'static str> {
        if matches!(self, Self::Fetch(_)) { vec!["fetch", "resume"] } else { self.command() }
    }
}

/// Leaves an index, which cannot be replayed into a file that is open for reading, and rows in the log.
fn leave_log(database: &Path) {
    let connection = Connection::open(database).expect("a database");
    let settings = "PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1GB';";
    let changes = "CREATE INDEX mine ON profiles (last_seen); CREATE TABLE mine AS SELECT range AS i FROM range(5000)";
    connection.execute_batch(&format!("{settings} {changes}")).expect("a log");
    drop(connection);
    make_private(&PathBuf::from(format!("{}.wal", database.display())));
}

/// Makes a file that the test has written as private as those that `mp` writes.
fn make_private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
}

fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    make_private(path);
}

fn beside(home: &Home, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", home.database().display()))
}

/// The files of a killed process.
struct Files {
    database: Vec<u8>,
    log: Option<Vec<u8>>,
    undo: Vec<u8>,
}

impl Files {
    fn read(home: &Home) -> Self {
        Self {
            database: fs::read(home.database()).expect("a database"),
            log: fs::read(beside(home, "wal")).ok().filter(|log| !log.is_empty()),
            undo: fs::read(beside(home, "undo")).expect("an undo file"),
        }
    }

    fn put(&self, home: &Home, database: &[u8]) {
        write_private(&home.database(), database);
        write_private(&beside(home, "undo"), &self.undo);
        match &self.log {
            Some(log) => write_private(&beside(home, "wal"), log),
            None => drop(fs::remove_file(beside(home, "wal"))),
        }
    }

    /// Returns the ranges of the saved blocks in the database.
    fn saved(&self) -> Vec<std::ops::Range<usize>> {
        let number = |at: usize| {
            let bytes = self.undo[at..at + 8].try_into().expect("eight bytes");
            usize::try_from(u64::from_le_bytes(bytes)).expect("it fits")
        };
        let (size, blocks) = (number(8), number(16));
        let block = |index: usize| {
            let start = HEADERS + size * number(24 + HEADERS + index * (8 + size));
            start..start + size
        };
        (0..blocks).map(block).collect()
    }

    /// Returns the database after an interrupted checkpoint: the other blocks are old or new, the headers are old, and
    /// the first `length` bytes of one saved block are new.
    fn torn(&self, after: &[u8], length: Option<usize>, others_written: bool) -> Vec<Vec<u8>> {
        let mut rest = self.database.clone();
        if others_written {
            rest.resize(rest.len().max(after.len()), 0);
            rest[HEADERS..after.len()].copy_from_slice(&after[HEADERS..]);
        }
        let is_changed = |range: &std::ops::Range<usize>| {
            after.get(range.clone()).is_some_and(|new| *new != self.database[range.clone()])
        };
        let tear = |range: std::ops::Range<usize>| {
            let mut torn = rest.clone();
            torn[range.clone()].copy_from_slice(&self.database[range.clone()]);
            let new = range.start..range.start + length.unwrap_or(range.len() / 2);
            torn[new.clone()].copy_from_slice(&after[new]);
            torn
        };
        self.saved().into_iter().filter(is_changed).map(tear).collect()
    }
}

/// Kills the command of a writer at a kill point. Returns what it leaves, unless it does not pass the point.
fn killed(home: &Home, writer: Writer, place: &str) -> Option<Files> {
    let mut command = home.command(&writer.command());
    command.env("MP_KILL_POINT", place);
    finish(command).code.is_none().then(|| Files::read(home))
}

/// Returns the database after the checkpoint that the kill prevented.
fn checkpointed(home: &Home, writer: Writer, files: &Files) -> Vec<u8> {
    if files.log.is_some() {
        // A complete command would do more than one checkpoint.
        Connection::open(home.database()).and_then(|file| file.execute_batch("CHECKPOINT")).expect("a checkpoint");
    } else {
        let run = home.run(&writer.again()).exits(0);
        assert!(!run.stderr.contains("restored"), "nothing was torn: {}", run.stderr);
    }
    fs::read(home.database()).expect("a database")
}

#[test]
fn a_torn_write_leaves_the_old_table_or_the_new_one() {
    if !has_kill_points() {
        return;
    }
    let (undisturbed, failures) = (Undisturbed::fetch(), Failures::default());
    let mut count = 0;
    for writer in Writer::ALL {
        failures.watch(&format!("{writer:?}"), || count += tear(&undisturbed, writer));
    }
    eprintln!("prove: {count} torn writes");
    failures.check();
}

fn tear(undisturbed: &Undisturbed, writer: Writer) -> usize {
    let (home, _simulator) = writer.begin(undisturbed);
    let rows = rows(&home);
    let files = killed(&home, writer, "undo-saved").expect("it is killed");
    check_private(&home);
    let after = checkpointed(&home, writer, &files);
    let rows_after = table(&home);
    let mut count = check_all(&home, &files, &after, &rows);
    assert!(count > 0 || matches!(writer, Writer::Fetch(Kind::New)), "no saved block is overwritten");
    let torn = files.torn(&after, Some(PAGE), true);
    for database in &torn {
        check_repair(&home, &files, database);
    }

    // A commit through the log is complete before the checkpoint begins.
    let (home, _simulator) = writer.begin(undisturbed);
    if let Some(files) = killed(&home, writer, "load-committed").filter(|files| files.log.is_some()) {
        let after = checkpointed(&home, writer, &files);
        assert_eq!(table(&home), rows_after);
        count += check_all(&home, &files, &after, &rows_after);
    }
    count
}

/// Returns the table, and leaves the files unchanged.
fn rows(home: &Home) -> Table {
    let paths = [home.database(), beside(home, "wal")];
    let files = paths.map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)));
    let rows = table(home);
    for (path, bytes) in files.into_iter().flatten() {
        write_private(&path, &bytes);
    }
    rows
}

fn check_all(home: &Home, files: &Files, after: &[u8], expected: &Table) -> usize {
    let (long, quick) = LENGTHS;
    let lengths = Length::wanted().pick(&long[..], &quick[..]);
    let mut count = 0;
    for length in lengths {
        for others_written in [true, false] {
            for database in files.torn(after, *length, others_written) {
                files.put(home, &database);
                assert_eq!(table(home), *expected, "{length:?} bytes, others written: {others_written}");
                assert!(!beside(home, "undo").exists());
                check_private(home);
                count += 1;
            }
        }
    }
    count
}

/// Checks that every command that opens the database repairs it, that this is reported once, and that the repair can
/// itself be interrupted.
fn check_repair(home: &Home, files: &Files, database: &[u8]) {
    let restored = "what it had overwritten was restored";
    let commands: [&[&str]; 4] =
        [&["inspect", "tables"], &["query", "sql", "SELECT 1"], &["info"], &["fetch", "profiles", "another"]];
    for arguments in commands {
        files.put(home, database);
        let run = finish(home.command(arguments)).exits(0);
        assert_eq!(run.stderr.matches(restored).count(), 1, "{arguments:?}: {}", run.stderr);
        let again = home.run(&["inspect", "tables"]).exits(0);
        assert!(!again.stderr.contains(restored), "{}", again.stderr);
    }
    files.put(home, database);
    let mut command = home.command(&["inspect", "tables"]);
    command.env("MP_KILL_POINT", "undo-restored");
    assert_eq!(finish(command).code, None, "it is killed");
    assert!(beside(home, "undo").exists());
    let run = home.run(&["inspect", "tables"]).exits(0);
    assert!(!run.stderr.contains(restored) && !beside(home, "undo").exists(), "{}", run.stderr);
    // Without the undo file, the database would be lost.
    files.put(home, database);
    fs::remove_file(beside(home, "undo")).expect("an undo file");
    let lost = home.run(&["query", "sql", "FROM profiles"]).exits(1);
    assert!(lost.stderr.contains("a checksum does not match"), "{}", lost.stderr);
}

/// Returns what a killed replacement leaves, and a torn database.
fn torn_replacement(home: &Home) -> (Files, Vec<u8>) {
    let writer = Writer::Fetch(Kind::Replace);
    let files = killed(home, writer, "undo-saved").expect("it is killed");
    let after = checkpointed(home, writer, &files);
    let torn = files.torn(&after, Some(PAGE), true).into_iter().next().expect("a block is overwritten");
    (files, torn)
}

#[test]
fn a_torn_file_is_repaired_by_a_process_that_has_it_alone() {
    if !has_kill_points() {
        return;
    }
    let (undisturbed, simulator) = (Undisturbed::fetch(), server());
    let home = undisturbed.begin(Kind::Replace, &simulator);
    let (files, torn) = torn_replacement(&home);
    for (operation, is_intact) in [
        (FlockOperation::NonBlockingLockExclusive, false),
        (FlockOperation::NonBlockingLockExclusive, true),
        (FlockOperation::NonBlockingLockShared, false),
    ] {
        files.put(&home, if is_intact { &files.database } else { &torn });
        let held = fs::File::options().read(true).write(true).open(home.database()).expect("a database");
        fcntl_lock(&held, operation).expect("a lock");
        let run = home.run(&["inspect", "tables"]).exits(1);
        assert!(run.stderr.contains("is locked by"), "{}", run.stderr);
        assert!(fs::read(home.database()).expect("a database") == if is_intact { &*files.database } else { &*torn });
        assert!(fs::read(beside(&home, "undo")).expect("an undo file") == files.undo);
    }
    assert_eq!(table(&home), undisturbed.before(Kind::Replace));
    // Readers of an intact file do not matter.
    files.put(&home, &files.database);
    let held = fs::File::open(home.database()).expect("a database");
    fcntl_lock(&held, FlockOperation::NonBlockingLockShared).expect("a lock");
    let _listed = home.run(&["inspect", "tables"]).exits(0);
    assert!(!beside(&home, "undo").exists());
}

#[test]
fn a_torn_file_on_a_read_only_file_system_is_explained() {
    if !has_kill_points() || !skip_unless(is_root(), "only root can mount a file system") {
        return;
    }
    let (undisturbed, simulator) = (Undisturbed::fetch(), server());
    let home = Home::new().with_server(&simulator);
    let mount = Mount::new(data(&home), ENOUGH);
    undisturbed.put_old(Kind::Replace, &home);
    let (files, torn) = torn_replacement(&home);

    files.put(&home, &files.database);
    mount.remount("ro");
    assert_eq!(table(&home), undisturbed.before(Kind::Replace), "an intact file can be read");
    mount.remount("rw");
    files.put(&home, &torn);
    mount.remount("ro");
    for arguments in [&["inspect", "tables"][..], &["query", "sql", "SELECT 1"], &["verify", "profiles"]] {
        let run = home.run(arguments).exits(1);
        let _explained =
            run.says(&["cannot be repaired; nothing is lost", ".undo` has what", "hint: copy the database"]);
    }
    let copy = home.path().join("copy.db");
    fs::copy(home.database(), &copy).expect("a copy");
    fs::copy(beside(&home, "undo"), home.path().join("copy.db.undo")).expect("a copy");
    let run = home.run(&["inspect", "tables", "--db", "copy.db", "-f", "plain"]).exits(0);
    assert_eq!(run.stdout, "profiles\n");
    mount.remount("rw");
    assert_eq!(table(&home), undisturbed.before(Kind::Replace));
}
