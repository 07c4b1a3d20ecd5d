//! Shared helpers for the load tests: stages, runs, and other processes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use duckdb::Connection;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use tempfile::TempDir;

use super::load::load;
use super::load_stop::LoadStop;
use super::request::{LoadOptions, LoadRequest};
use crate::counts::FetchCounts;
use crate::dataset::PROFILES;
use crate::error::Result;
use crate::limits::MEMORY_DEFAULT;
use crate::load::package::{LoadKind, LoadPackage, LoadReport};
use crate::load::run_record::{RunQuery, RunRecord};
use crate::parse::ProfileRows;
use crate::profile_query::{FetchMode, IfExists, MissingPages, ProfileQuery};
use crate::property_rules::PropertyRules;
use crate::row_sum::{RowSum, SUM_KEY};
use crate::stage::page_properties;
use crate::store::table_name::TableName;

/// One staged row: id, properties, last seen.
pub(super) type Row<'a> = (&'a str, &'a str, Option<i64>);

/// A directory with a stage in it, and the path of a database that does not exist yet.
pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) database: PathBuf,
    pub(super) stage: PathBuf,
    pub(super) pages: Vec<PathBuf>,
    pub(super) previous: Vec<PathBuf>,
    pub(super) rejects: Vec<PathBuf>,
    table: TableName,
    /// The number of page files so far.
    files: usize,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::named("profiles.db", "stage")
    }

    pub(super) fn named(database: &str, stage: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (database, stage) = (directory.path().join(database), directory.path().join(stage));
        std::fs::create_dir_all(&stage).unwrap();
        std::fs::create_dir_all(database.parent().unwrap()).unwrap();
        let table = TableName::parse("profiles").unwrap();
        let (pages, previous, rejects) = (Vec::new(), Vec::new(), Vec::new());
        Self { directory, database, stage, pages, previous, rejects, table, files: 0 }
    }

    /// Stages another page.
    pub(super) fn page(&mut self, rows: &[Row<'_>]) -> &mut Self {
        let path = self.stage.join(format!("page-{:06}.parquet", self.files));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.2))),
        ];
        write_parquet(&path, &RecordBatch::try_new(ProfileRows::schema(), columns).unwrap());
        self.pages.push(path);
        self.files += 1;
        self
    }

    /// Rewrites a staged page with a recorded sum of its rows.
    pub(super) fn record_sum(&self, page: usize, sum: RowSum) {
        let path = &self.pages[page];
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batch = reader.with_batch_size(usize::MAX >> 8).build().unwrap().next().unwrap().unwrap();
        let facts = vec![KeyValue::new(SUM_KEY.to_owned(), sum.to_text())];
        write_parquet_with(path, &batch, facts);
    }

    /// Stages the rejects of a page, given as position, reason and record.
    pub(super) fn reject(&mut self, page: i32, rejects: &[(i32, &str, &str)]) -> &mut Self {
        let path = self.stage.join(format!("rejects-{page:06}.parquet"));
        let columns: [(&str, ArrayRef); 4] = [
            ("page", Arc::new(Int32Array::from_iter_values(rejects.iter().map(|_| page)))),
            ("position", Arc::new(Int32Array::from_iter_values(rejects.iter().map(|reject| reject.0)))),
            ("reason", Arc::new(StringArray::from_iter_values(rejects.iter().map(|reject| reject.1)))),
            ("raw", Arc::new(StringArray::from_iter_values(rejects.iter().map(|reject| reject.2)))),
        ];
        write_parquet(&path, &RecordBatch::try_from_iter(columns).unwrap());
        self.rejects.push(path);
        self
    }

    /// Clears the staged pages to prepare another run.
    pub(super) fn restage(&mut self) -> &mut Self {
        self.pages.clear();
        self.previous.clear();
        self.rejects.clear();
        self.files = 0;
        self
    }

    /// Marks the staged pages as loaded and clears them, as if the server had lost the session.
    pub(super) fn lose_session(&mut self) -> &mut Self {
        self.previous = std::mem::take(&mut self.pages);
        self
    }

    /// Marks the staged pages as loaded.
    pub(super) fn all_loaded(&mut self) -> &mut Self {
        self.previous.clone_from(&self.pages);
        self
    }

    fn rows(&self) -> u64 {
        let rows = |path: &PathBuf| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).ok()?).ok()?;
            u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
        };
        // A file damaged by a test had one row.
        self.pages.iter().map(|path| rows(path).unwrap_or(1)).sum()
    }

    pub(super) fn run(&self, run_id: &str) -> RunRecord {
        RunRecord {
            dataset: &PROFILES,
            run_id: run_id.to_owned(),
            load_id: format!("{run_id}-{}", self.pages.len()),
            started_at: "2024-05-06T07:08:09Z".parse().unwrap(),
            finished_at: "2024-05-06T08:08:09.5Z".parse().unwrap(),
            project_id: "12345".to_owned(),
            region: "eu".to_owned(),
            query: RunQuery::Profiles(ProfileQuery {
                where_: Some("properties[\"plan\"] == 'pro'".to_owned()),
                ..ProfileQuery::default()
            }),
            property_rules: PropertyRules::default(),
            updates: false,
            mode: FetchMode::Parallel { max_workers: None },
            counts: FetchCounts { received: self.rows(), requests: 3, retries: 1, ..FetchCounts::default() },
            page_count: u32::try_from(self.pages.len()).unwrap(),
            failed_pages: Vec::new(),
        }
    }

    pub(super) fn load(&self, run_id: &str, if_exists: IfExists) -> Result<LoadReport> {
        self.load_run(self.run(run_id), if_exists)
    }

    /// Loads the staged pages of a run with missing pages.
    pub(super) fn load_partial(&self, run_id: &str, if_exists: IfExists) -> Result<LoadReport> {
        self.load_run(RunRecord { failed_pages: vec![7], ..self.run(run_id) }, if_exists)
    }

    pub(super) fn load_run(&self, run: RunRecord, if_exists: IfExists) -> Result<LoadReport> {
        load(&self.request(run, if_exists), None, &mut |_| ControlFlow::Continue(())).map(|(report, _)| report)
    }

    pub(super) fn request(&self, run: RunRecord, if_exists: IfExists) -> LoadRequest {
        LoadRequest {
            database: self.database.clone(),
            package: LoadPackage {
                directory: self.stage.clone(),
                pages: self.pages.clone(),
                rejects: self.rejects.clone(),
                previous: self.previous.clone(),
                kind: if self.previous.is_empty() { LoadKind::First } else { LoadKind::Completing },
                announced: None,
                run,
            },
            options: options(self.table.clone(), if_exists),
        }
    }

    pub(super) fn execute(&self, sql: &str) {
        execute(&self.database, sql);
    }

    pub(super) fn texts(&self, sql: &str) -> Vec<String> {
        texts(&self.database, sql)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.texts("SELECT distinct_id FROM profiles")
    }

    /// Returns the paths and contents of all files in the stage.
    pub(super) fn stage_contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(&self.stage).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}

/// Returns the options of a load into a table, as most tests need them.
pub(super) fn options(table: TableName, if_exists: IfExists) -> LoadOptions {
    LoadOptions {
        table,
        if_exists,
        seen: None,
        missing: MissingPages::Fetch,
        allow_empty: false,
        lock_wait: Duration::ZERO,
        memory: MEMORY_DEFAULT,
        stop: LoadStop::default(),
    }
}

/// Runs statements in a database, as another program might.
pub(super) fn execute(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

/// Returns the values of a query with one VARCHAR column; a null becomes the text `NULL`.
pub(super) fn texts(database: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let mut query = connection.prepare(sql).unwrap();
    let text = |row: &duckdb::Row<'_>| row.get::<_, Option<String>>(0).map(|text| text.unwrap_or("NULL".to_owned()));
    query.query_map([], text).unwrap().collect::<Result<_, _>>().unwrap()
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    write_parquet_with(path, batch, Vec::new());
}

/// Writes a staged file with these facts in its metadata.
pub(super) fn write_parquet_with(path: &Path, batch: &RecordBatch, facts: Vec<KeyValue>) {
    let properties = page_properties(batch, facts);
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A small in-memory file system, mounted on `directory` until this is dropped.
pub(super) struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// Mounts the file system. Returns `None`, and prints the reason to stderr, if that fails.
    #[expect(clippy::disallowed_methods, reason = "only the environment tells whether this is CI")]
    pub(super) fn tmpfs(directory: &'a Path, bytes: u64) -> Option<Self> {
        let options = format!("size={bytes},mode=700");
        if mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], directory) {
            return Some(Self(directory));
        }
        std::io::stderr().write_all(b"skipped: this needs the right to mount\n").unwrap();
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
        None
    }

    pub(super) fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.0));
    }

    pub(super) fn resize(&self, bytes: u64) {
        assert!(mount(&["-o", &format!("remount,size={bytes}")], self.0));
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Detaches immediately; freed once its last open file is closed.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Mounts a file system, retrying while the directory is busy: a child process just forked by another test keeps our
/// files open until it calls `exec`.
fn mount(arguments: &[&str], directory: &Path) -> bool {
    let once = || {
        let result = Command::new("mount").args(arguments).arg(directory).stderr(Stdio::null()).status();
        result.is_ok_and(|status| status.success())
    };
    let again = || {
        std::thread::sleep(Duration::from_millis(20));
        once()
    };
    once() || (1..10).any(|_| again())
}

const HOLD: &str = "MIXPANEL_DATA_TEST_HOLD";

/// Another process that has a database open until this is dropped.
pub(super) struct Holder(Child);

impl Holder {
    pub(super) fn open(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "load::duckdb::testing::holds_a_database", "--nocapture"])
            .env(HOLD, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("database is open")));
        Self(child)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Not a test: the code that [`Holder`] runs.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test program is told its part through the environment")]
fn holds_a_database() {
    let Some(database) = std::env::var_os(HOLD) else { return };
    let _connection = Connection::open(database).unwrap();
    std::io::stdout().write_all(b"\ndatabase is open\n").unwrap();
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
