use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::*;
use crate::load::LoadReport;
use crate::load::duckdb::load::load;
use crate::load::duckdb::testing::Fixture;
use crate::profile_query::IfExists;

/// Loads with an engine that was started in advance for a database that did not exist.
fn load_in_advance(
    fixture: &Fixture,
    stage: &Path,
    before_load: impl FnOnce(Option<PathBuf>),
    if_exists: IfExists,
) -> LoadReport {
    let engine = start_in_advance(&fixture.database, &Seen::nothing(), stage).unwrap();
    before_load(empty_database(stage));
    let request = fixture.request(fixture.run("r1"), if_exists);
    let (report, _) = load(&request, Some(engine), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(empty_database(stage), None, "nothing is left");
    report
}

fn empty_database(stage: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(stage).unwrap().map(|entry| entry.unwrap().path());
    entries
        .find(|path| path.to_string_lossy().contains(".mixpanel-data-"))
        .map(|directory| directory.join("new.duckdb"))
}

#[test]
#[cfg(unix)]
fn a_new_database_is_the_one_written_in_advance() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    for name in ["profiles.db", "it's a \"test\" é?.db"] {
        let mut fixture = Fixture::named(name, "st'age");
        fixture.page(&[("a", "{}", None)]);
        let mut written = 0;
        let look = |file: Option<PathBuf>| written = fs::metadata(file.expect("it is written")).unwrap().ino();
        let report = load_in_advance(&fixture, &fixture.stage, look, IfExists::Fail);
        assert_eq!((report.rows, fixture.ids()), (1, vec!["a".to_owned()]));
        let found = fs::metadata(&fixture.database).unwrap();
        assert_eq!((found.ino(), found.permissions().mode() & 0o777), (written, 0o600), "{name}");
    }
}

#[test]
fn a_database_that_was_created_in_the_meantime_is_kept() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let create = |_| fixture.execute("CREATE TABLE mine AS SELECT 42 AS a");
    load_in_advance(&fixture, &fixture.stage, create, IfExists::Fail);
    assert_eq!(fixture.texts("SELECT a::VARCHAR || distinct_id FROM mine, profiles"), ["42a"]);
}

#[test]
fn without_the_file_written_in_advance_the_load_writes_one() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let remove = |file: Option<PathBuf>| fs::remove_dir_all(file.unwrap().parent().unwrap()).unwrap();
    load_in_advance(&fixture, &fixture.stage, remove, IfExists::Fail);
    assert_eq!(fixture.ids(), ["a"]);
}

/// Renaming a file to another file system fails.
#[test]
#[cfg(target_os = "linux")]
fn a_stage_on_another_file_system_is_as_good() {
    use std::os::unix::fs::MetadataExt as _;
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(elsewhere.path()) == device(&fixture.stage) {
        return;
    }
    load_in_advance(&fixture, elsewhere.path(), |file| assert!(file.is_some()), IfExists::Fail);
    assert_eq!(fixture.ids(), ["a"]);
}

#[test]
fn an_existing_database_needs_no_empty_one() {
    let mut fixture = Fixture::new();
    fixture.execute("CREATE TABLE mine AS SELECT 42 AS a");
    fixture.page(&[("a", "{}", None)]);
    let table = crate::store::TableName::parse("profiles").unwrap();
    let wait = crate::limits::PREFLIGHT_LOCK_WAIT;
    let dataset = &crate::dataset::PROFILES;
    let (if_exists, kind) = (IfExists::Fail, crate::load::LoadKind::First);
    let seen = crate::load::look(&fixture.database, dataset, &table, if_exists, kind, wait).unwrap();
    start_in_advance(&fixture.database, &seen, &fixture.stage).unwrap();
    assert_eq!(empty_database(&fixture.stage), None);
}
