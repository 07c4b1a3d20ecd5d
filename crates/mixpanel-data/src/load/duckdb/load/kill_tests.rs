use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::load::duckdb::testing::{Fixture, Row};
use crate::load::duckdb::verify;
use crate::store::access::spill_directory;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

const LOAD: &str = "MIXPANEL_DATA_TEST_LOAD";
const ROWS: usize = 6_000;
const KILLS: u32 = 10;

fn stage(fixture: &mut Fixture, rows: usize) {
    let text = format!(r#"{{"t":"{}"}}"#, "x".repeat(300));
    let ids: Vec<String> = (0..rows).map(|id| id.to_string()).collect();
    for page in ids.chunks(1_000) {
        let rows: Vec<Row<'_>> = page.iter().map(|id| (id.as_str(), text.as_str(), Some(2))).collect();
        fixture.page(&rows);
    }
}

/// Kills another process during its load, slightly later each time, from its first step until after its last.
#[test]
fn a_killed_load_is_atomic_and_repeatable() {
    let mut fixture = Fixture::new();
    fixture.page(&[("old", "{}", None)]);
    fixture.load("r0", IfExists::Fail).unwrap();
    let before = fs::read(&fixture.database).unwrap();
    fixture.restage();
    stage(&mut fixture, ROWS);
    let (mut done, mut undone, mut step) = (0, 0, Duration::from_millis(400));
    for kill in 0..KILLS {
        fs::write(&fixture.database, &before).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "load::duckdb::load::kill_tests::load_helper_process", "--nocapture"])
            .env(LOAD, fixture.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The child writes a byte when it begins and another when it is done.
        let mut said = [0; 1];
        let mut read = || child.stdout.as_mut().unwrap().read_exact(&mut said).map(|()| said[0]);
        while read().unwrap() != b'<' {}
        if kill == 0 {
            let watch = crate::clock::Stopwatch::start();
            while read().unwrap() != b'>' {}
            step = watch.elapsed() * 5 / (4 * (KILLS - 1));
        } else {
            std::thread::sleep(step * (kill - 1));
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let count = fixture.texts("SELECT count(*)::VARCHAR FROM profiles")[0].clone();
        match count.as_str() {
            "1" => undone += 1,
            "6000" => done += 1,
            other => panic!("kill {kill}: the table has {other} rows"),
        }
        assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM duckdb_tables() WHERE table_name = '_loading'"), ["0"]);
        let report = fixture.load("r1", IfExists::Replace).unwrap();
        assert_eq!(report, LoadReport { rows: ROWS as u64, duplicates: 0, shortfall: 0, altered: 0 });
        assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
        assert!(!spill_directory(&fixture.stage).exists());
        let _ = fs::remove_file(fixture.database.with_extension("db.wal"));
    }
    assert!(done > 0 && undone > 0, "{done} done, {undone} not");
}

/// Not a test: the load that is killed.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test program is told its part through the environment")]
fn load_helper_process() {
    let Some(directory) = std::env::var_os(LOAD).map(PathBuf::from) else { return };
    let mut fixture = Fixture::new();
    (fixture.database, fixture.stage) = (directory.join("profiles.db"), directory.join("stage"));
    fixture.pages = (0..ROWS / 1_000).map(|page| fixture.stage.join(format!("page-{page:06}.parquet"))).collect();
    let say = |text: &str| {
        std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()).unwrap();
    };
    say("\n<");
    fixture.load("r1", IfExists::Replace).unwrap();
    say(">");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn spill_files_of_a_killed_load_are_removed() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let spill = spill_directory(&fixture.stage);
    fs::create_dir(&spill).unwrap();
    fs::write(spill.join("duckdb_temp_storage_DEFAULT-0.tmp"), [7; 10_000]).unwrap();
    fixture.load("r1", IfExists::Fail).unwrap();
    assert!(!spill.exists());
}
