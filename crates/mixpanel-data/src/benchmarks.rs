//! Individual steps of a fetch, exposed for benchmarks.
//!
//! Built only with the `benchmarks` feature; may change at any time.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;

use crate::api::{ApiClient, ApiOptions, ExportHead};
use crate::counts::FetchCounts;
use crate::credentials::{Credentials, Region, Secret};
use crate::dataset::PROFILES;
use crate::error::{Error, Result};
use crate::fetch::{EndOfBody, SliceRequest, part_of, read_slice, stage_roots};
use crate::limits::MEMORY_DEFAULT;
use crate::load::{LoadKind, LoadOptions, LoadPackage, LoadRequest, LoadStop, RunRecord, load};
use crate::parse::{EventReading, RecordForm, parse_page};
use crate::profile_query::{IfExists, MissingPages};
use crate::slice::Slice;
use crate::stage::{Manifest, Stage};
use crate::store::TableName;
use crate::types::ProfileWriteTask;

/// Parses a response into a task for the writer.
///
/// # Errors
/// `Internal` when the response is not a page.
pub fn parse(body: &str, page_index: u32) -> Result<ProfileWriteTask> {
    let page = parse_page(body.as_bytes(), RecordForm::Row).map_err(Error::internal)?;
    Ok(ProfileWriteTask { page_index, rows: page.rows })
}

/// Reads the body of an export, compressed or not, and writes its events to the files of a slice, which is not staged.
/// Returns the number of rows.
///
/// # Errors
/// `Internal` when the body is not an export; same as staging a page.
pub fn read_export(body: impl BufRead, staging: &Staging, part: u32) -> Result<u64> {
    let slice = Slice { from: date(2026, 1, 1), to: date(2026, 1, 31), events: Vec::new() };
    let request = SliceRequest { part, slice, filter: None, limit: None };
    let (reading, directory) = (EventReading::default(), staging.stage.slice_directory());
    let received = read_slice(&staging.head, body, EndOfBody::Known, &request, &reading, &directory);
    received.map(|slice| slice.facts.rows).map_err(|failure| Error::internal(format!("{failure:?}")))
}

/// A stage and the pages that were added to it.
#[derive(Debug)]
pub struct Staging {
    stage: Stage,
    head: ExportHead,
    pages: Vec<PathBuf>,
    rows: u64,
}

impl Staging {
    /// Creates an empty stage next to a database, which need not exist.
    ///
    /// # Errors
    /// Same as creating the stage of a run.
    pub fn create(database: &Path) -> Result<Self> {
        let manifest = Manifest::new("benchmark".to_owned(), Timestamp::UNIX_EPOCH, "12345", "us");
        let stage = Stage::create(&stage_roots(database), manifest)?;
        let credentials = Credentials::new("someone", Secret::new("secret"), "12345", Region::Us)?;
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        let head = ApiClient::new(credentials, &options)?.export_head();
        Ok(Self { stage, head, pages: Vec::new(), rows: 0 })
    }

    /// Encodes a page and writes it to disk, as the writer does.
    ///
    /// # Errors
    /// Same as staging a page.
    pub fn write(&mut self, page: &ProfileWriteTask) -> Result<()> {
        self.stage.write_part(&part_of(page))
    }

    /// Adds a written page to the next [`load`](Self::load).
    pub fn count(&mut self, page: &ProfileWriteTask) {
        self.pages.push(self.stage.page_path(page.page_index));
        self.rows += page.rows.len() as u64;
    }

    /// Loads the added pages into a table that must not exist yet. Returns the number of rows.
    ///
    /// # Errors
    /// Same as a load.
    pub fn load(&self, database: &Path) -> Result<u64> {
        let package = LoadPackage {
            directory: self.stage.directory().to_owned(),
            pages: self.pages.clone(),
            rejects: Vec::new(),
            previous: Vec::new(),
            kind: LoadKind::First,
            announced: None,
            run: self.run(),
        };
        let options = LoadOptions {
            table: TableName::parse("profiles")?,
            if_exists: IfExists::Fail,
            seen: None,
            missing: MissingPages::Fetch,
            allow_empty: false,
            lock_wait: Duration::ZERO,
            memory: MEMORY_DEFAULT,
            stop: LoadStop::default(),
        };
        let request = LoadRequest { database: database.to_owned(), package, options };
        load(&request, None, &mut |_| ControlFlow::Break(())).map(|(report, _)| report.rows)
    }

    fn run(&self) -> RunRecord {
        let counts = FetchCounts { expected_rows: Some(self.rows), received: self.rows, ..FetchCounts::default() };
        let page_count = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        RunRecord { counts, page_count, ..RunRecord::empty(&PROFILES, "benchmark", "benchmark") }
    }
}
