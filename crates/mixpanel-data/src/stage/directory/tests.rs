//! Tests of the stage on a real disk.

use super::*;
use crate::dataset::PROFILES;
use crate::parse::{Catalog, ProfileRows, RecordForm, parse_page};
use crate::stage::{discard, list, read_part};

fn write(stage: &mut Stage, number: u32, page: &ProfileRows) {
    let (rows, rejects) = (page.to_record_batch(), page.rejects());
    stage
        .write_part(&Part { number, dataset: &PROFILES, rows, rejects, fingerprint: 1, catalog: &Catalog::default() })
        .unwrap();
}

/// Stages a page with one row and one reject.
fn write_page(stage: &mut Stage, number: u32) {
    let body = format!(r#"{{"results":[{{"$distinct_id":"id-{number}","$properties":{{"n":1.50E+10}}}},null]}}"#);
    write(stage, number, &parse_page(body.as_bytes(), RecordForm::Row).unwrap().rows);
}

fn read_page(path: &Path) -> Vec<ProfileRows> {
    read_part(path).unwrap().iter().map(|rows| ProfileRows::from_record_batch(rows).unwrap()).collect()
}

fn manifest(run_id: &str) -> Manifest {
    Manifest::new(run_id.into(), jiff::Timestamp::UNIX_EPOCH, "12345", "us")
}

fn roots(directory: &tempfile::TempDir) -> StageRoots {
    StageRoots { root: directory.path().join("my.db.stage"), earlier: None }
}

fn stage(roots: &StageRoots) -> Stage {
    Stage::create(roots, manifest("run-1")).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_staged_page_reads_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&roots(&directory));
    write_page(&mut stage, 7);
    let pages = read_page(&stage.page_path(7));
    let rows: Vec<_> = pages[0].iter().map(|row| (row.distinct_id.to_owned(), row.properties.to_owned())).collect();
    assert_eq!(rows, [("id-7".to_owned(), r#"{"n":1.50E+10}"#.to_owned())]);
    let pages_directory = stage.page_path(7).parent().unwrap().to_owned();
    let kinds: Vec<_> = names(&pages_directory).iter().map(|name| name[..name.len() - 17].to_owned()).collect();
    assert_eq!(kinds, ["page-000007", "rejects-000007"], "no temporary file is left");
    let [StagedPage { page: 7, rows: 1, rejected: 1, fingerprint: Some(_) }] = stage.find_pages().unwrap()[..] else {
        panic!("{:?}", stage.find_pages());
    };
}

#[test]
fn a_large_page_is_staged_in_small_row_groups_and_reads_back_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&roots(&directory));
    let page = |count: u32, text: &str| {
        let record = |n| format!(r#"{{"$distinct_id":"id-{n}","$properties":{{"n":{n},"text":"{text}"}}}}"#);
        let records: Vec<_> = (0..count).map(record).collect();
        parse_page(format!(r#"{{"results":[{}]}}"#, records.join(",")).as_bytes(), RecordForm::Row).unwrap().rows
    };
    let groups_of = |path: &Path| -> Vec<i64> {
        let file = fs::File::open(path).unwrap();
        let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        metadata.row_groups().iter().map(|group| group.num_rows()).collect()
    };
    write(&mut stage, 0, &page(5_000, ""));
    assert_eq!(groups_of(&stage.page_path(0)), [2_048, 2_048, 904]);
    write(&mut stage, 1, &page(500, &"x".repeat(50_000)));
    let groups = groups_of(&stage.page_path(1));
    assert!(groups.iter().all(|rows| (10..=41).contains(rows)), "2 MiB each: {groups:?}");
    assert_eq!(groups.iter().sum::<i64>(), 500);
    write(&mut stage, 2, &page(2, &"x".repeat(3_000_000)));
    assert_eq!(groups_of(&stage.page_path(2)), [1, 1]);
    let pages = read_page(&stage.page_path(0));
    let ids: Vec<_> = pages.iter().flat_map(|rows| rows.iter().map(|row| row.distinct_id.to_owned())).collect();
    assert_eq!(ids, (0..5_000).map(|n| format!("id-{n}")).collect::<Vec<_>>());
}

#[test]
fn damaged_pages_are_removed_and_the_others_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&roots(&directory));
    for page in 0..7 {
        write_page(&mut stage, page);
    }
    let change = |path: PathBuf, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
    };
    change(stage.page_path(1), |bytes| bytes.truncate(bytes.len() - 5));
    change(stage.page_path(2), Vec::clear);
    change(stage.page_path(6), |bytes| bytes[20] ^= 1);
    fs::remove_file(stage.rejects_path(3).unwrap()).unwrap();
    let named = stage.page_path(4);
    fs::rename(&named, named.to_str().unwrap().replace("000004", "000009")).unwrap();
    fs::write(named.with_file_name(".page-000008-00000000.parquet.tmp"), b"half").unwrap();
    let pages: Vec<u32> = stage.find_pages().unwrap().iter().map(|staged| staged.page).collect();
    assert_eq!(pages, [0, 5], "a page under another's name is none either");
    let left = names(named.parent().unwrap());
    assert_eq!(left.len(), 4, "two pages and their rejects: {left:?}");
}

#[test]
fn a_stage_survives_into_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(&directory);
    let mut first = stage(&roots);
    let facts = SessionFacts {
        session_id: Some("S".into()),
        total: Some(5),
        declared_page_size: Some(1000),
        first_page_records: 5,
        server_time: None,
        clock_ahead: 0,
    };
    first.record_session(facts.clone()).unwrap();
    write_page(&mut first, 0);
    let expected = first.manifest().clone();
    let error = Stage::open(&roots, "run-1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RunBusy);
    assert_eq!(error.detail("holding_pid"), Some(&std::process::id().into()));
    assert_eq!(list(&roots).unwrap()[0].held_by, Some(std::process::id()));
    drop(first);
    let again = Stage::open(&roots, "run-1").unwrap();
    assert_eq!((again.manifest(), again.manifest().session.as_ref()), (&expected, Some(&facts)));
    let mut again = again;
    assert_eq!(again.find_pages().unwrap().len(), 1);
}

#[test]
fn pages_of_a_lost_session_are_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(&directory);
    let mut stage = stage(&roots);
    write_page(&mut stage, 0);
    write_page(&mut stage, 1);
    stage.begin_epoch(1).unwrap();
    assert_eq!(stage.find_pages().unwrap(), []);
    write_page(&mut stage, 0);
    drop(stage);
    let mut stage = Stage::open(&roots, "run-1").unwrap();
    assert_eq!((stage.manifest().epoch, stage.find_pages().unwrap().len()), (1, 1));
    stage.update(|manifest| manifest.loaded = Some(crate::stage::Loaded { epoch: 0, pages: vec![0, 1] })).unwrap();
    assert_eq!(stage.loaded_pages().unwrap().len(), 2);
    assert_eq!(list(&roots).unwrap()[0].pages_done, 1, "only the present session counts");
}

#[test]
fn removing_the_last_run_removes_the_stage() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(&directory);
    let first = stage(&roots);
    let second = Stage::create(&roots, manifest("run-2")).unwrap();
    assert_eq!(discard(&roots, "run-1").unwrap_err().kind(), ErrorKind::RunBusy);
    first.remove().unwrap();
    assert!(second.directory().is_dir());
    drop(second);
    discard(&roots, "run-2").unwrap();
    assert!(!roots.root.exists());
    assert_eq!(discard(&roots, "run-2").unwrap_err().kind(), ErrorKind::RunNotFound);
    assert_eq!(discard(&roots, "../x").unwrap_err().kind(), ErrorKind::RunNotFound);
}

#[test]
fn an_unreadable_stage_is_listed_and_can_be_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(&directory);
    let stage = stage(&roots);
    fs::write(stage.directory().join(MANIFEST), b"{\"format\": 1}").unwrap();
    drop(stage);
    let runs = list(&roots).unwrap();
    assert!(runs[0].manifest.as_ref().unwrap_err().message().contains("another version"));
    assert!(Stage::open(&roots, "run-1").is_err());
    discard(&roots, "run-1").unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&roots(&directory));
    write_page(&mut stage, 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(stage.directory()), 0o700);
    assert_eq!(mode(&stage.page_path(0)), 0o600);
    assert_eq!(mode(&stage.rejects_path(0).unwrap()), 0o600);
    assert_eq!(mode(&stage.directory().join(MANIFEST)), 0o600);
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let roots = roots(&directory);
    std::os::unix::fs::symlink(&elsewhere, &roots.root).unwrap();
    let error = Stage::create(&roots, manifest("run-1")).unwrap_err();
    assert!(error.message().contains("a link"), "{error}");
    assert_eq!(names(&elsewhere), [""; 0]);
}

/// The encoder reports only its own error when a write fails.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&roots(&directory));
    write_page(&mut stage, 0);
    let pages = stage.page_path(0).parent().unwrap().to_owned();
    let page = parse_page(br#"{"results":[{"$distinct_id":"a","$properties":{}}]}"#, RecordForm::Row).unwrap().rows;
    let part = Part {
        number: 1,
        dataset: &PROFILES,
        rows: page.to_record_batch(),
        rejects: &[],
        fingerprint: 1,
        catalog: page.catalog(),
    };
    std::os::unix::fs::symlink("/dev/full", pages.join(".page-000001.parquet.tmp")).unwrap();
    let error = stage.write_part(&part).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    assert!(error.message().contains("page-000001"), "{error}");
    assert_eq!(stage.find_pages().unwrap().len(), 1);
    stage.write_part(&part).unwrap();
    assert_eq!(stage.find_pages().unwrap().len(), 2);
}
