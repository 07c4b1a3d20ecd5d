use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duckdb::{AccessMode, Config, Connection};
use tempfile::TempDir;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Fault};
use crate::store::access::Access;
use crate::store::database::{CommitError, Database, repair};

/// A database with a table `t` of three rows.
fn database() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my.db");
    let sql = "CREATE TABLE t AS FROM range(3); CHECKPOINT";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (directory, path)
}

/// Returns the error of opening the database for any purpose.
fn refusal(path: &Path) -> Error {
    let spill = tempfile::tempdir().unwrap();
    let purposes =
        [Access::ReadOnly, Access::ReadWrite, Access::Spilling { spill_directory: spill.path(), memory_mb: None }];
    let [first, others @ ..] = purposes.map(|access| Database::open(path, access).err().expect("it is refused"));
    assert!(others.iter().all(|error| error.message() == first.message()), "{others:?}");
    first
}

fn assert_is_open_outside(error: &Error) {
    assert_eq!((error.kind(), error.fault()), (ErrorKind::DatabaseLocked, Some(Fault::AnotherEngine)), "{error}");
    assert_eq!(error.holding_pid(), Some(std::process::id()));
    for part in [&std::process::id().to_string(), "`duckdb` module", "close that connection"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(error.detail("suggestion").unwrap().as_str().unwrap().contains("resume"));
}

fn assert_is_in_use_here(error: &Error, part: &str) {
    assert_eq!((error.kind(), error.fault()), (ErrorKind::DatabaseLocked, None), "{error}");
    assert_eq!(error.holding_pid(), Some(std::process::id()));
    assert!(error.message().contains(part), "{error}");
}

/// Returns other paths of a file: links to it, and relative ones.
fn names_of(directory: &TempDir, path: &Path) -> Vec<PathBuf> {
    let (symbolic, hard) = (directory.path().join("symbolic.db"), directory.path().join("hard.db"));
    std::os::unix::fs::symlink(path, &symbolic).unwrap();
    fs::hard_link(path, &hard).unwrap();
    let mut names = vec![path.to_owned(), symbolic, hard];
    if cfg!(target_os = "linux") {
        let from_here = std::env::current_dir().unwrap().components().skip(1).map(|_| "../").collect::<String>();
        let relative = Path::new("/proc/self/cwd").join(from_here).join(path.strip_prefix("/").unwrap());
        names.push(relative);
    }
    names
}

/// Returns whether this process holds a lock on the file.
#[cfg(target_os = "linux")]
fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (pid, inode) = (std::process::id(), fs::metadata(path).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let is_it = |line: &&str| line.contains(&format!(" {pid} ")) && line.contains(&format!(":{inode} "));
    locks.lines().any(|line| is_it(&line))
}

#[test]
fn a_file_that_another_library_has_open_is_left_alone() {
    let (directory, path) = database();
    for name in names_of(&directory, &path) {
        let reading = File::open(&name).unwrap();
        assert_is_open_outside(&refusal(&path));
        let duplicate = reading.try_clone().unwrap();
        drop(reading);
        assert_is_open_outside(&refusal(&name));
        drop(duplicate);
        let appending = File::options().append(true).open(&path).unwrap();
        assert_is_open_outside(&refusal(&name));
        drop(appending);
        drop(Database::open(&name, Access::ReadWrite).unwrap());
        drop(Database::open(&name, Access::ReadOnly).unwrap());
    }
}

#[test]
fn another_engine_keeps_its_lock_and_its_rows() {
    let (directory, path) = database();
    let names = names_of(&directory, &path);
    for (number, name) in names.iter().enumerate() {
        let writer = Connection::open(name).unwrap();
        writer.execute_batch("BEGIN; INSERT INTO t FROM range(200_000)").unwrap();
        assert_is_open_outside(&refusal(&path));
        assert_is_open_outside(&refusal(&names[(number + 1) % names.len()]));
        assert_eq!(repair(&path).unwrap(), None, "there is nothing to repair");
        #[cfg(target_os = "linux")]
        assert!(is_locked(&path), "closing a descriptor of the file would have dropped the lock");
        writer.execute_batch("COMMIT; CHECKPOINT").unwrap();
        drop(writer);
        let config = Config::default().access_mode(AccessMode::ReadOnly).unwrap();
        let reader = Connection::open_with_flags(name, config).unwrap();
        assert_is_open_outside(&refusal(&path));
        #[cfg(target_os = "linux")]
        assert!(is_locked(&path));
        drop(reader);
    }
    let database = Database::open(&path, Access::ReadOnly).unwrap();
    let count: usize = database.connection().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3 + 200_000 * names.len());
}

#[test]
fn uses_of_this_library_are_told_from_those_of_others() {
    let (directory, path) = database();
    let names = names_of(&directory, &path);
    let reader = Database::open(&path, Access::ReadOnly).unwrap();
    assert_is_in_use_here(&Database::open(&path, Access::ReadWrite).err().unwrap(), "a query reads it");
    let another = Database::open(&names[1], Access::ReadOnly).unwrap();
    let by_hard_link = Database::open(&names[2], Access::ReadOnly).err().unwrap();
    assert_is_in_use_here(&by_hard_link, "a query reads it");
    drop((reader, another));
    let writer = Database::open(&names[2], Access::ReadWrite).unwrap();
    for name in &names {
        assert_is_in_use_here(&refusal(name), "another call uses it");
    }
    fs::write(directory.path().join("my.db.undo"), "an undo file in use").unwrap();
    assert_eq!(repair(&path).unwrap(), None, "it is left alone");
    drop(writer);
}

#[test]
fn an_undo_file_is_not_used_while_another_library_has_the_database_open() {
    let (directory, path) = database();
    let undo = directory.path().join("my.db.undo");
    fs::write(&undo, "not an undo file").unwrap();
    let other = Connection::open(&path).unwrap();
    assert_is_open_outside(&repair(&path).unwrap_err());
    #[cfg(target_os = "linux")]
    assert!(is_locked(&path));
    drop(other);
    assert_eq!(repair(&path).unwrap(), None);
    assert!(undo.exists());
}

#[test]
fn nothing_is_committed_beside_another_library() {
    let (_directory, path) = database();
    let database = Database::open(&path, Access::ReadWrite).unwrap();
    database.connection().execute_batch("BEGIN; DELETE FROM t").unwrap();
    let other = File::open(&path).unwrap();
    let Err(CommitError::NotBegun(error)) = database.commit() else { panic!("it must not commit") };
    assert_is_open_outside(&error);
    drop(other);
    let database = Database::open(&path, Access::ReadWrite).unwrap();
    let sql = "SELECT count(*) FROM t";
    assert_eq!(database.connection().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    database.connection().execute_batch("BEGIN; DELETE FROM t").unwrap();
    database.commit().unwrap();
    let database = Database::open(&path, Access::ReadOnly).unwrap();
    assert_eq!(database.connection().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

/// Opens the database in four threads at once, `turns` times in each.
fn in_threads(path: &Path, turns: usize, use_it: impl Fn(usize, Result<Database, Error>) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let use_it = &use_it;
            scope.spawn(move || {
                for turn in 0..turns {
                    let access = if (thread + turn) % 3 == 0 { Access::ReadWrite } else { Access::ReadOnly };
                    use_it(turn, Database::open(path, access));
                }
            });
        }
    });
}

#[test]
fn threads_that_open_at_once_exclude_each_other_as_before() {
    let (_directory, path) = database();
    in_threads(&path, 60, |turn, opened| match opened {
        Ok(database) if turn % 2 == 0 => {
            let written = database.connection().execute_batch("BEGIN; INSERT INTO t VALUES (7)");
            if written.is_ok() {
                database.commit().unwrap();
            }
        }
        Ok(database) => {
            database.connection().query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        }
        Err(error) => assert_eq!((error.kind(), error.fault()), (ErrorKind::DatabaseLocked, None), "{error}"),
    });
}

#[test]
fn descriptors_of_a_failed_attempt_are_closed_before_the_next() {
    let (_directory, path) = database();
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096..12_288].fill(7);
    fs::write(&path, bytes).unwrap();
    in_threads(&path, 25, |_, opened| {
        let error = opened.err().expect("both headers are damaged");
        assert_eq!(error.kind(), ErrorKind::DatabaseUnusable, "{error}");
    });
}

#[test]
fn a_call_waits_for_another_one_that_writes() {
    let (_directory, path) = database();
    let writer = Database::open(&path, Access::ReadWrite).unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = [Access::ReadOnly, Access::ReadOnly, Access::ReadWrite]
            .map(|access| {
                let path = &path;
                scope.spawn(move || Database::open(path, access).map(drop))
            })
            .into();
        std::thread::sleep(Duration::from_millis(100));
        assert!(waiting.iter().all(|thread| !thread.is_finished()));
        drop(writer);
        let results: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        // The third one may have met a reader, which may take any time and is therefore not waited for.
        assert!(results[..2].iter().all(Result::is_ok), "{results:?}");
    });
}

#[test]
fn writers_get_their_turn_among_others_and_readers_that_overlap() {
    let (_directory, path) = database();
    let is_over = AtomicBool::new(false);
    let write = || -> Vec<_> {
        let write = |_| {
            let writing = Database::open(&path, Access::ReadWrite).map(|_writing| {
                std::thread::sleep(Duration::from_millis(5));
            });
            std::thread::sleep(Duration::from_millis(5));
            writing
        };
        (0..5).map(write).collect()
    };
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let reading = Database::open(&path, Access::ReadOnly).expect("readers only wait");
                    std::thread::sleep(Duration::from_millis(30));
                    drop(reading);
                }
            });
        }
        let writers: Vec<_> = (0..2).map(|_| threads.spawn(write)).collect();
        let results: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    });
}

#[test]
fn a_reader_whose_thread_reads_already_does_not_wait_for_a_writer_that_waits_for_it() {
    let (_directory, path) = database();
    let first = Database::open(&path, Access::ReadOnly).unwrap();
    std::thread::scope(|threads| {
        let writing = threads.spawn(|| Database::open(&path, Access::ReadWrite).map(drop));
        for _ in 0..20 {
            drop(Database::open(&path, Access::ReadOnly).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_is_in_use_here(&writing.join().unwrap().unwrap_err(), "a query reads it");
    });
    drop(first);
    drop(Database::open(&path, Access::ReadWrite).unwrap());
}

#[test]
fn a_wait_for_a_query_of_this_process_is_as_long_as_it_may_be() {
    let (_directory, path) = database();
    let reading = Database::open(&path, Access::ReadOnly).unwrap();
    let (begun, mut reports) = (Stopwatch::start(), 0);
    let on_wait = &mut |_: &Error| {
        reports += 1;
        ControlFlow::Continue(())
    };
    let refused = Database::open_waiting(None, &path, Access::ReadWrite, Duration::from_secs(3), on_wait).map(drop);
    assert_is_in_use_here(&refused.unwrap_err(), "a query reads it");
    assert!((3..=8).contains(&begun.elapsed().as_secs()) && reports > 0, "{:?}, {reports}", begun.elapsed());
    drop(reading);
    drop(
        Database::open_waiting(None, &path, Access::ReadWrite, Duration::ZERO, &mut |_| ControlFlow::Break(()))
            .unwrap(),
    );
}
