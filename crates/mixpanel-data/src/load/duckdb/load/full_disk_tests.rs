use std::fs;

use super::*;
use crate::load::duckdb::testing::{Fixture, Mount, Row};

const ROWS: usize = 10_000;

/// Returns properties that do not compress: four hexadecimal numbers from a simple generator.
fn properties(row: usize) -> String {
    let mut state = row as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    };
    format!(r#"{{"a":"{:016x}{:016x}{:016x}{:016x}"}}"#, next(), next(), next(), next())
}

#[test]
fn a_full_disk_leaves_the_old_table() {
    let mut fixture = Fixture::new();
    let directory = fixture.directory.path().join("mounted");
    fs::create_dir(&directory).unwrap();
    fixture.database = directory.join("profiles.db");
    let texts: Vec<String> = (0..ROWS).map(properties).collect();
    let ids: Vec<String> = (0..ROWS).map(|row| format!("new-{row}")).collect();

    let (mut failures, mut successes) = (0, 0);
    for free_kib in (0..3_500).step_by(400) {
        let Some(mount) = Mount::tmpfs(&directory, 64 << 20) else { return };
        fixture.restage().page(&[("old", "{}", None)]);
        fixture.load("r1", IfExists::Fail).unwrap();
        let rows: Vec<Row<'_>> = ids.iter().zip(&texts).map(|(id, text)| (id.as_str(), text.as_str(), None)).collect();
        fixture.restage().page(&rows);
        mount.resize(fs::metadata(&fixture.database).unwrap().len() + free_kib * 1_024);

        let result = fixture.load("r2", IfExists::Replace);
        mount.resize(64 << 20);
        match result {
            Ok(report) => {
                successes += 1;
                assert_eq!(report.rows, ROWS as u64);
                assert_eq!(fixture.ids().len(), ROWS);
            }
            Err(error) => {
                failures += 1;
                assert_eq!(error.kind(), ErrorKind::DiskFull, "{free_kib} KiB: {error:?}");
                assert_eq!(fixture.ids(), ["old"], "{free_kib} KiB");
                // With enough space, the same stage can be loaded.
                assert_eq!(fixture.load("r2", IfExists::Replace).unwrap().rows, ROWS as u64);
            }
        }
        drop(mount);
    }
    assert!(failures > 2 && successes > 1, "{failures} failures, {successes} successes");
}
