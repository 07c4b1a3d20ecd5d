//! Tests of the ledger on disk: sharing, file permissions, and damaged or foreign files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::file::LedgerFile;
use super::testing::{Opening, Session, at};
use super::{Acquired, Pool, Quota, RateLimiter};
use crate::error::{Error, ErrorKind};

const HOST: &str = "mixpanel.com";
const PROJECT: &str = "12345";

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

fn open(directory: &Path) -> RateLimiter {
    RateLimiter::open(Pool::QUERY, Some(directory), HOST, PROJECT, quota("2/h")).unwrap()
}

fn open_error(directory: &Path) -> Error {
    RateLimiter::open(Pool::QUERY, Some(directory), HOST, PROJECT, quota("2/h")).unwrap_err()
}

fn ledger_path(directory: &Path) -> PathBuf {
    LedgerFile::new(directory, Pool::QUERY, HOST, PROJECT).unwrap().path().to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn processes_share_the_window_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (open(directory.path()), open(directory.path()));
    one.ask(Opening, at(0));
    other.ask(Opening, at(1));
    assert_eq!(one.blocked(Opening, at(2)), at(3_606));
    drop((one, other));
    let restarted = open(directory.path());
    assert_eq!(restarted.blocked(Opening, at(3)), at(3_606));
    assert_eq!(restarted.used(at(3)), 2);
}

#[test]
fn processes_share_slots_and_a_dead_process_frees_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (open(directory.path()), open(directory.path()));
    let mut permits: Vec<_> = (0..3).map(|_| one.granted(Session, at(0))).collect();
    permits.extend((0..2).map(|_| other.granted(Session, at(0))));
    assert!(matches!(one.acquire(Session, at(1)).unwrap(), Acquired::NoFreeSlot));
    assert!(matches!(other.acquire(Opening, at(1)).unwrap(), Acquired::NoFreeSlot));
    permits.truncate(3);
    let fifth = [other.granted(Opening, at(2)), other.granted(Session, at(2))];
    assert!(matches!(one.acquire(Session, at(2)).unwrap(), Acquired::NoFreeSlot));
    drop((permits, fifth));
    assert_eq!(one.used(at(3)), 1);
}

#[test]
fn each_pool_has_its_own_window_and_slots() {
    let other = Pool { prefix: "other", slots: 1, ..Pool::QUERY };
    let directory = tempfile::tempdir().unwrap();
    let one = open(directory.path());
    let other = RateLimiter::open(other, Some(directory.path()), HOST, PROJECT, quota("3/h")).unwrap();
    one.ask(Opening, at(0));
    one.ask(Opening, at(0));
    assert_eq!(one.blocked(Opening, at(1)), at(3_606));
    assert_eq!(other.used(at(1)), 0);
    let busy = other.granted(Opening, at(1));
    assert!(matches!(other.acquire(Opening, at(2)).unwrap(), Acquired::NoFreeSlot));
    let _places: Vec<_> = (0..5).map(|_| one.granted(Session, at(2))).collect();
    busy.refused_hourly(at(3), None).unwrap();
    assert_eq!((one.used(at(4)), other.used(at(4))), (2, 0));
    assert_eq!(one.blocked(Opening, at(4)), at(3_606));
    assert_eq!(other.blocked(Opening, at(4)), at(603));
    assert_eq!(names(directory.path()).iter().filter(|name| name.starts_with("other-mixpanel.com-12345-")).count(), 3);
}

#[test]
fn a_refusal_holds_for_other_processes_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (open(directory.path()), open(directory.path()));
    one.granted(Session, at(0)).refused_hourly(at(0), None).unwrap();
    assert_eq!(other.blocked(Session, at(1)), at(600));
    drop((one, other));
    let (one, other) = (open(directory.path()), open(directory.path()));
    assert!(one.usage(at(2)).unwrap().session_pages_count);
    let probe = one.granted(Opening, at(600));
    assert_eq!(other.blocked(Session, at(601)), at(661));
    probe.refused_hourly(at(602), None).unwrap();
    drop((one, other));
    assert_eq!(open(directory.path()).blocked(Opening, at(700)), at(3_606));
}

#[test]
fn a_clock_that_was_set_back_blocks_for_one_window_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let limiter = open(directory.path());
    limiter.ask(Opening, at(100_000));
    limiter.ask(Opening, at(100_000));
    for second in (0..3_606).step_by(400) {
        assert_eq!(limiter.blocked(Opening, at(second)), at(3_606), "{second}");
    }
    limiter.ask(Opening, at(3_606));
}

#[test]
fn hosts_and_projects_never_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let pairs = [
        ("mixpanel.com", "1"),
        ("eu.mixpanel.com", "1"),
        ("mixpanel.com", "2"),
        ("mixpanel.com1", ""),
        ("127.0.0.1:8080", "1"),
        ("127.0.0.1-8080", "1"),
        ("127.0.0.1:8081", "1"),
        ("..", "../../1"),
        ("A", "/"),
        ("a", "/"),
    ];
    for (host, project) in pairs {
        let limiter = RateLimiter::open(Pool::QUERY, Some(directory.path()), host, project, quota("1/h")).unwrap();
        limiter.ask(Opening, at(0));
        limiter.blocked(Opening, at(0));
    }
    let long = "x".repeat(5_000);
    RateLimiter::open(Pool::QUERY, Some(directory.path()), &long, &long, quota("1/h")).unwrap().ask(Opening, at(0));
    let names = names(directory.path());
    assert_eq!(names.iter().filter(|name| name.ends_with(".json")).count(), pairs.len() + 1);
    for name in names {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        assert!(name.chars().all(plain) && name.len() < 200, "{name}");
    }
}

#[test]
fn the_directory_and_its_files_are_for_the_owner() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/state");
    open(&directory).ask(Opening, at(0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let names = names(&directory);
    assert_eq!(names.len(), 3, "the ledger, the lock and one slot: {names:?}");
    for name in names {
        assert_eq!(mode(&directory.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_damaged_ledger_is_set_aside() {
    let large = vec![b' '; usize::try_from(crate::limits::LEDGER_BYTES_MAX).unwrap() + 1];
    for damage in [&b""[..], b"{", b"[]", b"\xff\0", br#"{"format":1}"#, br#"{"format":1,"ledger":{}}"#, &large] {
        let directory = tempfile::tempdir().unwrap();
        let path = ledger_path(directory.path());
        let limiter = open(directory.path());
        limiter.ask(Opening, at(0));
        fs::write(&path, damage).unwrap();
        limiter.ask(Opening, at(1));
        assert_eq!(limiter.used(at(1)), 1);
        let aside = path.with_extension("json.damaged");
        assert_eq!(fs::read(&aside).unwrap(), damage);
        // A second damaged ledger does not overwrite the first.
        fs::write(&path, [damage, b" again"].concat()).unwrap();
        let reopened = open(directory.path());
        assert_eq!(reopened.used(at(1)), 0);
        let again = path.with_extension("json.damaged-2");
        assert_eq!(
            (fs::read(&aside).unwrap(), fs::read(&again).unwrap()),
            (damage.to_vec(), [damage, b" again"].concat())
        );
        let notice = reopened.notice().unwrap();
        assert!(notice.contains(&again.display().to_string()), "{notice}");
        assert_eq!(open(directory.path()).notice(), None);
    }
}

#[test]
fn a_ledger_of_another_version_is_left_alone() {
    for (text, format) in [(r#"{"format":2,"ledger":{"pages":[]}}"#, 2), (r#"{"format":999}"#, 999)] {
        let directory = tempfile::tempdir().unwrap();
        let path = ledger_path(directory.path());
        fs::write(&path, text).unwrap();
        let error = open_error(directory.path());
        for part in [format!("its format is {format}"), "this version reads 1".to_owned()] {
            assert!(error.message().contains(&part), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(!path.with_extension("json.damaged").exists());
    }
}

#[test]
fn absurd_numbers_in_a_ledger_block_for_one_window_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let limiter = open(directory.path());
    limiter.ask(Opening, at(0));
    limiter.granted(Opening, at(0)).refused_hourly(at(0), None).unwrap();
    let path = ledger_path(directory.path());
    let text = fs::read_to_string(&path).unwrap();
    let moment = at(0).as_microsecond().to_string();
    let next = at(600).as_microsecond().to_string();
    assert!(text.contains(&moment) && text.contains(&next), "{text}");
    for number in [i64::MAX, i64::MIN] {
        // Replaces every number except IDs, which are never negative.
        let absurd =
            [("", ",\"o\""), (":", "")].iter().fold(text.replace(&next, &number.to_string()), |text, around| {
                let (before, after) = around;
                text.replace(&format!("{before}{moment}{after}"), &format!("{before}{number}{after}"))
            });
        assert_ne!(absurd, text);
        fs::write(&path, absurd.replace(&format!("last_id\":{number}"), "last_id\":1")).unwrap();
        if let Acquired::NotBefore { at: moment, .. } = limiter.acquire(Opening, at(10)).unwrap() {
            assert!(moment <= at(10 + 3_660), "{moment}");
        }
        assert!(!path.with_extension("json.damaged").exists());
    }
}

#[test]
fn links_and_other_things_in_place_of_a_file_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    let path = ledger_path(&directory);
    let target = parent.path().join("precious");
    fs::write(&target, "precious").unwrap();
    for name in [path.clone(), path.with_extension("lock")] {
        let _ = fs::remove_file(&name);
        symlink(&target, &name).unwrap();
        let error = open_error(&directory);
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.message().ends_with("it is a symbolic link"), "{error}");
        fs::remove_file(&name).unwrap();
    }
    // A link at the path of the temporary file is removed.
    symlink(&target, path.with_extension("tmp")).unwrap();
    open(&directory).ask(Opening, at(0));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(open_error(&directory).message().ends_with("it is not a regular file"));
    let not_a_directory = open_error(&target);
    assert_eq!((not_a_directory.kind(), not_a_directory.path()), (ErrorKind::Storage, Some(target)));
}

#[test]
fn a_storage_failure_grants_nothing_and_holds_no_slot() {
    let directory = tempfile::tempdir().unwrap();
    let limiter = open(directory.path());
    let temporary = ledger_path(directory.path()).with_extension("tmp");
    fs::create_dir(&temporary).unwrap();
    for _ in 0..6 {
        assert_eq!(limiter.acquire(Opening, at(0)).unwrap_err().kind(), ErrorKind::Storage);
    }
    fs::remove_dir(&temporary).unwrap();
    assert_eq!(limiter.used(at(0)), 0);
    let permits = [limiter.granted(Opening, at(0)), limiter.granted(Opening, at(0))];
    fs::create_dir(&temporary).unwrap();
    for permit in permits {
        assert!(permit.answered(at(1)).is_err());
    }
    fs::remove_dir(&temporary).unwrap();
    assert_eq!(limiter.blocked(Opening, at(2)), at(3_660));
}

#[test]
fn a_deleted_state_directory_is_recreated() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    let limiter = open(&directory);
    let permit = limiter.granted(Opening, at(0));
    fs::remove_dir_all(&directory).unwrap();
    permit.answered(at(1)).unwrap();
    assert_eq!(limiter.used(at(1)), 1);
}

#[test]
fn a_kill_at_any_point_of_a_change_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = ledger_path(directory.path());
    let temporary = path.with_extension("tmp");
    let limiter = open(directory.path());
    limiter.ask(Opening, at(0));
    // Killed while writing the temporary file.
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len()] {
        fs::write(&temporary, &whole[..length]).unwrap();
        assert_eq!(limiter.used(at(0)), 1);
        limiter.granted(Opening, at(0)).refunded(at(0)).unwrap();
    }
    // Killed between removing the old ledger and renaming the new one, twice.
    fs::rename(&path, &temporary).unwrap();
    assert_eq!(limiter.used(at(0)), 1);
    limiter.ask(Opening, at(1));
    fs::rename(&path, &temporary).unwrap();
    assert_eq!(open(directory.path()).used(at(1)), 2);
    limiter.blocked(Opening, at(2));
    // Killed while writing the very first ledger.
    fs::remove_file(&path).unwrap();
    fs::write(&temporary, &whole[..whole.len() / 2]).unwrap();
    limiter.ask(Opening, at(3));
    assert_eq!(limiter.used(at(3)), 1);
}

#[test]
fn concurrent_callers_never_exceed_the_quota() {
    let directory = tempfile::tempdir().unwrap();
    let granted: usize = std::thread::scope(|scope| {
        let askers = [(); 4].map(|()| {
            scope.spawn(|| {
                let limiter =
                    RateLimiter::open(Pool::QUERY, Some(directory.path()), HOST, PROJECT, quota("50/h")).unwrap();
                let mut granted = 0;
                while let Acquired::Granted(permit) = limiter.acquire(Opening, at(0)).unwrap() {
                    permit.answered(at(0)).unwrap();
                    granted += 1;
                }
                granted
            })
        });
        askers.into_iter().map(|asker| asker.join().unwrap()).sum()
    });
    assert_eq!(granted, 50);
}
