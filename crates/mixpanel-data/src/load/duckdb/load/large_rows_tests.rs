//! Tests that every stage can be loaded, with the given memory or with the amount that the error names.

use std::ops::ControlFlow;

use crate::ErrorKind;
use crate::error::Result;
use crate::limits::{MEMORY_DEFAULT, MEMORY_RANGE};
use crate::load::duckdb::load::load;
use crate::load::duckdb::testing::{Fixture, Row};
use crate::load::duckdb::tuning::memory_needed;
use crate::load::duckdb::verify;
use crate::load::package::LoadReport;
use crate::profile_query::IfExists;

/// Stages pages, given as `(rows, bytes per row)`, with unique ids. Returns the number of rows.
fn stage(fixture: &mut Fixture, pages: &[(usize, usize)]) -> u64 {
    let mut rows = 0;
    for (number, (count, bytes)) in pages.iter().enumerate() {
        let text = format!(r#"{{"purchases":"{}"}}"#, "0123456789abcde\u{e9}".repeat(bytes / 17));
        let ids: Vec<String> = (0..*count).map(|row| format!("{number}-{row}")).collect();
        let page: Vec<Row<'_>> = ids.iter().map(|id| (id.as_str(), text.as_str(), Some(1))).collect();
        fixture.page(&page);
        rows += *count as u64;
    }
    rows
}

fn load_with(fixture: &Fixture, memory: u64, if_exists: IfExists) -> Result<LoadReport> {
    let run = fixture.run(&format!("{memory}-{if_exists:?}"));
    let mut request = fixture.request(run, if_exists);
    request.options.memory = memory;
    load(&request, None, &mut |_| ControlFlow::Continue(())).map(|(report, _)| report)
}

const KIB: usize = 1 << 10;

/// Loads `pages` pages of `count` rows of `bytes` bytes in every mode, with the minimum memory.
fn load_in_every_mode(pages: usize, count: usize, bytes: usize) {
    let mut fixture = Fixture::new();
    let rows = stage(&mut fixture, &vec![(count, bytes); pages]);
    for if_exists in [IfExists::Fail, IfExists::Replace, IfExists::Append, IfExists::Upsert] {
        let report = load_with(&fixture, *MEMORY_RANGE.start(), if_exists);
        let what = format!("{pages} pages of {count} rows of {bytes} bytes, {if_exists:?}");
        let report = report.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(report.rows + report.duplicates, rows, "{what}");
    }
    assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
}

#[test]
fn rows_of_15_kib_are_loaded_with_the_least_memory() {
    load_in_every_mode(10, 200, 15 * KIB);
}

#[test]
fn rows_of_100_kib_are_loaded_with_the_least_memory() {
    load_in_every_mode(3, 80, 100 * KIB);
}

#[test]
fn the_largest_rows_are_loaded_with_the_least_memory() {
    load_in_every_mode(2, 3, 4_096 * KIB);
}

/// The table was created by another program, so all of it is also read to compute its digest.
#[test]
fn large_rows_are_replaced_with_minimum_memory() {
    let mut fixture = Fixture::new();
    fixture.execute(
        r#"CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
           INSERT INTO profiles SELECT 'id-' || i, '{"k":"' || repeat(chr((97 + i % 26)::INTEGER), 100_000) || '"}', NULL
           FROM range(900) t(i)"#,
    );
    let ids: Vec<String> = (0..600).map(|row| format!("id-{row}")).collect();
    fixture.page(&ids.iter().map(|id| (id.as_str(), "{}", Some(1))).collect::<Vec<_>>());
    let report = load_with(&fixture, *MEMORY_RANGE.start(), IfExists::Upsert).unwrap();
    assert_eq!(report, LoadReport { rows: 600, duplicates: 0, shortfall: 0, altered: 0 });
    let sql = "SELECT concat_ws(' ', count(*), count(DISTINCT distinct_id), sum(strlen(properties))) FROM profiles";
    assert_eq!(fixture.texts(sql), [format!("900 900 {}", 600 * 2 + 300 * 100_008)]);
    assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
}

#[test]
fn large_rejects_are_loaded_with_the_least_memory() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let raw: Vec<String> = (b'a'..=b'z').map(|letter| char::from(letter).to_string().repeat(100 * KIB)).collect();
    for page in 0..8_u8 {
        let raw = |row: u8| raw[usize::from(page + row) % 26].as_str();
        let rejects = (0..100_u8).map(|row| (i32::from(row), "it has no id", raw(row)));
        fixture.reject(i32::from(page), &rejects.collect::<Vec<_>>());
    }
    let mut run = fixture.run("r");
    run.counts.rejected = 800;
    run.counts.received += 800;
    let mut request = fixture.request(run, IfExists::Fail);
    request.options.memory = *MEMORY_RANGE.start();
    load(&request, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let sql = "SELECT concat_ws(' ', page, position, raw[1], strlen(raw)) FROM _rejects";
    let expected = (0..800).map(|row| {
        let (page, position) = (row / 100, row % 100);
        format!("{page} {position} {} {}", &raw[(page + position) % 26][..1], 100 * KIB)
    });
    assert_eq!(fixture.texts(sql), expected.collect::<Vec<_>>());
}

/// 2,000 profiles of 100 KiB.
#[test]
fn the_default_memory_is_enough_for_large_profiles() {
    let mut fixture = Fixture::new();
    stage(&mut fixture, &[(205, 100 * KIB)]);
    let pages = vec![fixture.pages[0].clone(); 10];
    let needed = memory_needed(&pages, &[]);
    assert!(needed <= MEMORY_DEFAULT, "{needed}");
}

/// The sampled pages are small, so the load runs out of memory and continues in smaller steps.
#[test]
fn a_load_that_runs_out_of_memory_is_retried() {
    let mut fixture = Fixture::new();
    let sizes: Vec<_> = (0..24).map(|page| if page % 3 == 0 { (10, 100) } else { (60, 60 << 10) }).collect();
    let rows = stage(&mut fixture, &sizes);
    let report = load_with(&fixture, *MEMORY_RANGE.start(), IfExists::Fail).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0, altered: 0 });
    assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
}

/// Texts so large that a DuckDB block holds only one of them take up to twice their size.
#[test]
fn the_reported_memory_is_sufficient() {
    let mut fixture = Fixture::new();
    let rows = stage(&mut fixture, &[(60, 130 << 10); 8]);
    let error = load_with(&fixture, *MEMORY_RANGE.start(), IfExists::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(!source.contains("SET "), "{source}");
    let needed = error.detail("memory_needed").and_then(serde_json::Value::as_str).unwrap();
    let needed: u64 = needed.strip_suffix("MB").unwrap().parse().unwrap();
    assert!((300..=500).contains(&needed), "{needed}");
    let report = load_with(&fixture, needed * 1_000_000, IfExists::Fail).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0, altered: 0 });
    let report = load_with(&fixture, needed * 1_000_000, IfExists::Upsert).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0, altered: 0 });
    assert!(needed * 1_000_000 > MEMORY_DEFAULT / 2);
}
