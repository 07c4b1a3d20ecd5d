//! Whatever is staged can be loaded, in the memory that there is or in the memory that is named.

use std::ops::ControlFlow;

use crate::ErrorKind;
use crate::error::Result;
use crate::limits::{MEMORY_DEFAULT, MEMORY_RANGE};
use crate::profile_query::OnExisting;
use crate::store::load::{LoadReport, load};
use crate::store::testing::{Fixture, Row};
use crate::store::verify;

/// Stages pages of rows of so many bytes, with ids of their own.
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

fn load_with(fixture: &Fixture, memory: u64, on_existing: OnExisting) -> Result<LoadReport> {
    let run = fixture.run(&format!("{memory}-{on_existing:?}"));
    let mut request = fixture.request(run, on_existing);
    request.memory = memory;
    load(&request, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn rows_of_any_size_are_loaded_with_the_least_memory() {
    const KIB: usize = 1 << 10;
    for (pages, count, bytes) in
        [(10, 200, 100), (10, 200, 15 * KIB), (3, 80, 100 * KIB), (20, 10, 100 * KIB), (4, 2, 4_096 * KIB)]
    {
        let mut fixture = Fixture::new();
        let rows = stage(&mut fixture, &vec![(count, bytes); pages]);
        for on_existing in [OnExisting::Fail, OnExisting::Replace, OnExisting::Append, OnExisting::Upsert] {
            let report = load_with(&fixture, *MEMORY_RANGE.start(), on_existing);
            let what = format!("{pages} pages of {count} rows of {bytes} bytes, {on_existing:?}");
            let report = report.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!(report.rows + report.duplicates, rows, "{what}");
        }
        assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
    }
}

/// The pages that are looked at first are small, so the load runs out of memory, and goes on in smaller steps.
#[test]
fn a_load_that_runs_out_of_memory_is_begun_again() {
    let mut fixture = Fixture::new();
    let sizes: Vec<_> = (0..24).map(|page| if page % 3 == 0 { (10, 100) } else { (60, 60 << 10) }).collect();
    let rows = stage(&mut fixture, &sizes);
    let report = load_with(&fixture, *MEMORY_RANGE.start(), OnExisting::Fail).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0 });
    assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
}

/// Texts of which only one fits into a block of DuckDB's take twice their size.
#[test]
fn the_memory_that_is_named_is_enough() {
    let mut fixture = Fixture::new();
    let rows = stage(&mut fixture, &[(60, 130 << 10); 8]);
    let error = load_with(&fixture, *MEMORY_RANGE.start(), OnExisting::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(!source.contains("SET "), "{source}");
    let needed = error.detail("memory_needed").and_then(serde_json::Value::as_str).unwrap();
    let needed: u64 = needed.strip_suffix("MB").unwrap().parse().unwrap();
    assert!((300..=500).contains(&needed), "{needed}");
    let report = load_with(&fixture, needed * 1_000_000, OnExisting::Fail).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0 });
    let report = load_with(&fixture, needed * 1_000_000, OnExisting::Upsert).unwrap();
    assert_eq!(report, LoadReport { rows, duplicates: 0, shortfall: 0 });
    assert!(needed * 1_000_000 > MEMORY_DEFAULT / 2);
}
