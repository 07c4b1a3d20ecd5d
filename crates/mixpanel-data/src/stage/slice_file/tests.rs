use std::collections::BTreeMap;
use std::io::BufReader;

use jiff::civil::date;

use super::*;
use crate::parse::{Catalog, EventReader, EventReading, for_each_line};
use crate::slice::Slice;
use crate::stage::{Manifest, StageRoots, StagedPage, read_part};

fn stage(directory: &tempfile::TempDir) -> Stage {
    let roots = StageRoots { root: directory.path().join("my.db.stage"), earlier: None };
    Stage::create(&roots, Manifest::new("run-1".into(), jiff::Timestamp::UNIX_EPOCH, "12345", "us")).unwrap()
}

fn names(directory: &SliceDirectory) -> Vec<String> {
    let entries = std::fs::read_dir(&directory.path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is known about a written slice.
struct Known {
    facts: SliceFacts,
    catalogs: EventCatalogs,
}

/// Writes a slice with `rows` rows and `rejects` rejects.
fn write(directory: &SliceDirectory, part: u32, rows: usize, rejects: usize) -> (UnfinishedSlice, Known) {
    let slice =
        Slice { from: date(2026, 1, 1), to: date(2026, 1, 7), events: vec!["A".to_owned(), "b \"\n".to_owned()] };
    let mut body = String::new();
    for row in 0..rows {
        let time = 1_767_225_600_000_i64 + row as i64 * 60_000;
        body += &format!(
            "{{\"event\":\"e{}\",\"properties\":{{\"time\":{time},\"n\":{row}.50,\"$insert_id\":\"i{row}\"}}}}\n",
            row % 3
        );
    }
    body += &"{\"event\":\"A\",\"properties\":{}}\n".repeat(rejects);
    let mut reader = EventReader::new(part, slice, &EventReading::default());
    let mut writer = SliceWriter::create(directory, part).unwrap();
    let bytes = for_each_line(BufReader::new(body.as_bytes()), |line| {
        reader.line(line).map_err(|fault| std::io::Error::other(format!("{fault:?}")))?;
        if let Some(rows) = reader.take_full_group() {
            writer.write(&rows).unwrap();
        }
        Ok::<(), std::io::Error>(())
    });
    let (rest, rejects) = reader.take_rest();
    rest.iter().for_each(|rows| writer.write(rows).unwrap());
    // Twice, as if there were many.
    let (some, others) = rejects.split_at(rejects.len() / 2);
    writer.reject(some).unwrap();
    writer.reject(others).unwrap();
    let end = reader.finish(bytes.unwrap(), 99).unwrap();
    (writer.finish(&end.facts, &end.catalogs).unwrap(), Known { facts: end.facts, catalogs: end.catalogs })
}

fn metadata(path: &Path) -> BTreeMap<String, String> {
    let builder = open(path).unwrap();
    let pairs = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    pairs.into_iter().filter_map(|pair| Some((pair.key, pair.value?))).collect()
}

#[test]
fn a_staged_slice_is_found_again_with_everything_known_about_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&directory);
    let slices = stage.slice_directory();
    let (unfinished, end) = write(&slices, 4, 20_000, 5);
    assert_eq!(unfinished.part(), 4);
    assert!(names(&slices).iter().all(|name| name.starts_with('.')), "{:?}", names(&slices));
    stage.commit_slice(unfinished).unwrap();
    let kinds: Vec<_> = names(&slices).iter().map(|name| name[..name.len() - 17].to_owned()).collect();
    assert_eq!(kinds, ["page-000004", "rejects-000004"]);

    let expected = StagedPage { page: 4, rows: 20_000, rejected: 5, fingerprint: Some(0) };
    assert_eq!(stage.find_pages().unwrap(), [expected]);
    assert_eq!(stage.slice_facts(4).unwrap(), end.facts);
    assert_eq!(end.facts.received_bytes, 99);
    let found = metadata(&stage.page_path(4));
    assert_eq!(EventCatalogs::read(&found[EVENT_CATALOGS_KEY]).unwrap(), end.catalogs);
    assert_eq!(Catalog::read(&found[CATALOG_KEY]).unwrap(), end.catalogs.total());
    assert_eq!(found["days"].matches("\"day\"").count(), 14);

    let batches = read_part(&stage.page_path(4)).unwrap();
    let sum =
        batches.iter().fold(RowSum::default(), |sum, rows| sum.plus(RowSum::of_columns(&EVENT_COLUMNS, rows).unwrap()));
    assert_eq!(RowSum::read(20_000, &found[SUM_KEY]), Some(sum));
    let builder = open(&stage.page_path(4)).unwrap();
    let groups: Vec<i64> = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [8_192, 8_192, 3_616]);
    let rejects = read_part(&stage.rejects_path(4).unwrap()).unwrap();
    assert_eq!(rejects.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert!(metadata(&stage.rejects_path(4).unwrap()).contains_key(SUM_KEY));
}

#[test]
fn an_empty_slice_is_staged_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&directory);
    let (unfinished, end) = write(&stage.slice_directory(), 0, 0, 0);
    stage.commit_slice(unfinished).unwrap();
    assert_eq!(stage.slice_facts(0).unwrap(), end.facts);
    assert_eq!((stage.find_pages().unwrap()[0].rows, stage.rejects_path(0)), (0, None));
}

#[test]
fn what_is_not_staged_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&directory);
    let slices = stage.slice_directory();
    let (first, _) = write(&slices, 1, 10, 1);
    // Another attempt at the same part, while the first one still has its files.
    let (second, _) = write(&slices, 1, 20, 1);
    assert_eq!(names(&slices).len(), 4);
    drop(first);
    assert_eq!(names(&slices).len(), 2);
    stage.commit_slice(second).unwrap();
    assert_eq!(stage.find_pages().unwrap()[0].rows, 20);
    drop(SliceWriter::create(&slices, 2).unwrap());
    assert_eq!(names(&slices).len(), 2);
    // A process that is killed leaves temporary files, which the next one removes.
    let (left, _) = write(&slices, 3, 10, 0);
    std::mem::forget(left);
    assert_eq!(names(&slices).len(), 3);
    assert_eq!(stage.find_pages().unwrap().len(), 1);
    assert_eq!(names(&slices).len(), 2);
}

#[test]
fn a_damaged_slice_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = stage(&directory);
    let (unfinished, _) = write(&stage.slice_directory(), 0, 100, 0);
    stage.commit_slice(unfinished).unwrap();
    let path = stage.page_path(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(stage.find_pages().unwrap(), []);
    assert!(stage.slice_facts(0).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_as_such() {
    // Writing to this device always fails with ENOSPC.
    let directory = tempfile::tempdir().unwrap();
    let slices = SliceDirectory { path: directory.path().to_owned() };
    let attempt = ATTEMPTS.load(Ordering::Relaxed);
    for attempt in attempt..attempt + 50 {
        let name = format!(".{}.{attempt}.tmp", Content::Rows.unfinished_name(9));
        std::os::unix::fs::symlink("/dev/full", directory.path().join(name)).unwrap();
    }
    let mut reader = EventReader::new(
        9,
        Slice { from: date(2026, 1, 1), to: date(2026, 1, 1), events: vec![] },
        &EventReading::default(),
    );
    let mut writer = SliceWriter::create(&slices, 9).unwrap();
    for_each_line(
        BufReader::new(&b"{\"event\":\"A\",\"properties\":{\"time\":1767225600000}}\n".repeat(100)[..]),
        |line| reader.line(line).map_err(|fault| std::io::Error::other(format!("{fault:?}"))),
    )
    .unwrap();
    let rows = reader.take_rest().0.unwrap();
    let written = writer.write(&rows);
    let end = reader.finish(0, 0).unwrap();
    let error = written.and_then(|()| writer.finish(&end.facts, &end.catalogs).map(drop)).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::DiskFull, "{error}");
}
