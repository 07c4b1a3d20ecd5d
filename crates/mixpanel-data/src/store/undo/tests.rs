use super::testing::{
    Checkpoint, NAME, REPLACE, TABLE, Through, Torn, UPSERT, attached, contents, leave_log, log_of, path_in,
};
use super::*;
use crate::store::access::Access;
use crate::store::database::{CommitError, Database};

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
