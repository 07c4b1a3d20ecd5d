//! `mp export`, and `mp query sql --output`: writes rows to a file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mixpanel_data::limits::MEMORY_DEFAULT;
use mixpanel_data::{SqlPart, Workspace};
use serde_json::json;

use super::spill::{query_failure, with_spill_until_a_signal};
use crate::cli::{ExportArgs, FileArgs, FileFormat, Format};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::format::{Kind, Layout, print_results};
use crate::output::Output;
use crate::partial_file::PartialFile;
use crate::signals;
use crate::sql_hint::with_hint;
use crate::streams::Stdout;
use crate::text::{counted, duration, size};

/// Interval at which the progress is updated.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `mp export`.
pub(crate) fn run(context: &Context, arguments: &ExportArgs) -> Result<Exit, Failure> {
    let workspace = context.database()?;
    let table = &arguments.table;
    let failed = |error| Failure::library(format!("could not export `{table}`"), &error);
    let query = workspace.table_query(table).map_err(failed)?;
    let schema = workspace.table_schema(table).map_err(failed)?;
    let table = Some(schema.table_name.as_str());
    let options = &arguments.options;
    Export { context, workspace: &workspace, query: &query, table, path: &arguments.file, options }.run()
}

/// The result of a query, and the file to write it to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Export<'a> {
    pub(crate) context: &'a Context,
    pub(crate) workspace: &'a Workspace,
    pub(crate) query: &'a str,
    /// The table whose origin is recorded in a Parquet file, if the query exports one.
    pub(crate) table: Option<&'a str>,
    pub(crate) path: &'a Path,
    pub(crate) options: &'a FileArgs,
}

impl Export<'_> {
    /// Writes the file and prints a summary.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let Self { context, .. } = self;
        let format = self.format()?;
        if Workspace::sql_result_count(self.query) > 1 {
            return Err(Failure::usage("the query has several results, and a file holds one")
                .hint("run one statement at a time"));
        }
        if context.output.jq().is_some() {
            return Err(Failure::usage("`--jq` cannot be combined with a file")
                .hint("filter in SQL, or print the result with `--format json`"));
        }
        if self.path == Path::new("-") {
            return self.print(format);
        }
        let path = context.path(self.path)?;
        check_is_not_of_database(&path, self.workspace.database())?;
        let partial = PartialFile::create(&path, self.options.force)?;
        let watch = Instant::now();
        let rows = self.fill(format, &partial, None)?;
        let bytes = partial.publish()?;
        let seconds = (watch.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        context.output.note(&format!(
            "wrote {} to `{}` ({}, {})",
            counted(rows, "row"),
            path.display(),
            size(bytes),
            duration(watch.elapsed())
        ));
        if !context.output.stdout_is_terminal() || context.requested_format().is_some() {
            context.print(json!({
                "file": path.display().to_string(), "format": format.name(), "rows": rows, "bytes": bytes,
                "duration_seconds": seconds,
            }))?;
        }
        Ok(Exit::Success)
    }

    fn format(self) -> Result<FileFormat, Failure> {
        if let Some(format) = self.options.to_format {
            return Ok(format);
        }
        let ending = self.path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let shown = self.path.display();
        match ending.as_deref() {
            Some("parquet") => Ok(FileFormat::Parquet),
            Some("csv") => Ok(FileFormat::Csv),
            Some("jsonl" | "ndjson") => Ok(FileFormat::Jsonl),
            Some("json") => Ok(FileFormat::Json),
            Some("xlsx" | "xls") => {
                Err(Failure::usage("`mp` does not write Excel files, whose numbers have only 15 digits")
                    .hint("write a `.csv` file with `--csv-safe`, and open it in Excel"))
            }
            _ => Err(Failure::usage(format!("cannot tell the format from the name `{shown}`"))
                .hint("add `--to-format parquet`, `csv`, `jsonl` or `json`")),
        }
    }

    /// Writes the rows to the temporary file and returns their number. A signal removes that file, what DuckDB has
    /// spilled, and the temporary directory, if there is one.
    fn fill(self, format: FileFormat, partial: &PartialFile, directory: Option<&Path>) -> Result<u64, Failure> {
        let output = &self.context.output;
        let temporary = partial.temporary().to_owned();
        let mut spill = temporary.clone().into_os_string();
        spill.push(".spill");
        let directory = directory.map(Path::to_owned);
        let workspace = self.workspace.clone().with_spill_directory(&spill);
        signals::end_after(move || {
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_dir_all(&spill);
            directory.map(fs::remove_dir_all);
        })?;
        let _progress = Progress::show(output, partial.file());
        let Some(format) = format.of_rows() else {
            let memory = self.options.memory.unwrap_or(MEMORY_DEFAULT);
            let written = self.workspace.export_parquet(self.query, self.table, partial.temporary(), memory);
            return written.map_err(|error| self.failed(&error));
        };
        let workspace = match self.options.memory {
            Some(memory) => workspace.with_query_memory(memory),
            None => workspace,
        };
        self.write_rows(&workspace, &output.redirected_to(partial.file()), format)
    }

    /// Writes the rows to standard output. Parquet is written to a temporary file first.
    fn print(self, format: FileFormat) -> Result<Exit, Failure> {
        let output = &self.context.output;
        if let Some(format) = format.of_rows() {
            let workspace = with_spill_until_a_signal(self.workspace.clone(), self.options.memory);
            self.write_rows(&workspace, output, format)?;
            return Ok(Exit::Success);
        }
        if output.stdout_is_terminal() {
            return Err(Failure::usage("Parquet is binary and would disturb the terminal")
                .hint("name a file, or redirect standard output"));
        }
        let failed = |error: io::Error| Failure::io("could not write to standard output", &error);
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path().join("result.parquet");
        let partial = PartialFile::create(&path, false)?;
        self.fill(format, &partial, Some(directory.path()))?;
        partial.publish()?;
        match File::open(&path).and_then(|mut file| io::copy(&mut file, &mut Stdout)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
            Err(error) => Err(failed(error)),
            Ok(_) => Ok(Exit::Success),
        }
    }

    /// Writes the rows in the format that `mp query sql` prints, and returns their number.
    fn write_rows(self, workspace: &Workspace, output: &Output, format: Format) -> Result<u64, Failure> {
        let layout = Layout { kind: Kind::Query, is_expanded: false, rows_max: u64::MAX };
        let mut rows = 0;
        let result = print_results(output, format, layout, |sink| {
            workspace.sql_exact(self.query, |part| {
                rows += u64::from(matches!(part, SqlPart::Row(_)));
                sink(part)
            })
        })?;
        result.map_err(|error| self.failed(&error))?;
        Ok(rows)
    }

    fn failed(self, error: &mixpanel_data::Error) -> Failure {
        let memory = match self.format() {
            Ok(FileFormat::Parquet) => Some(self.options.memory.unwrap_or(MEMORY_DEFAULT)),
            _ => self.options.memory,
        };
        let failure = query_failure("could not export the rows", error, memory);
        with_hint(failure, self.workspace, self.query, error)
    }
}

/// Checks that the file is neither the database nor one of its files.
fn check_is_not_of_database(path: &Path, database: &Path) -> Result<(), Failure> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let real = |path: &Path| {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::canonicalize(path)
            .or_else(|_| Ok::<_, io::Error>(fs::canonicalize(parent)?.join(path.file_name().unwrap_or_default())))
            .ok()
    };
    let Some(database) = real(database) else { return Ok(()) };
    for ending in ["", ".wal", ".undo", ".stage"] {
        let mut own = database.clone().into_os_string();
        own.push(ending);
        let own = Path::new(&own);
        if real(path).as_deref() == Some(own) || identity(path).is_some_and(|file| identity(own) == Some(file)) {
            let what = if ending.is_empty() { "the database" } else { "a file of the database" };
            return Err(Failure::usage(format!("`{}` is {what}", path.display())).hint("use another name"));
        }
    }
    Ok(())
}

impl FileFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
        }
    }

    /// Returns the format in which rows are written one by one; `None` for Parquet.
    fn of_rows(self) -> Option<Format> {
        match self {
            Self::Parquet => None,
            Self::Csv => Some(Format::Csv),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Json => Some(Format::Json),
        }
    }
}

/// A line on the terminal with the size of the file so far; removed when dropped.
struct Progress {
    bar: ProgressBar,
    is_done: Arc<AtomicBool>,
}

impl Progress {
    fn show(output: &Output, file: Arc<File>) -> Self {
        let bar = output.bars().add(ProgressBar::new_spinner());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid"));
        let is_done = Arc::new(AtomicBool::new(false));
        if output.stderr_is_terminal() && !output.is_quiet() {
            let (bar, is_done) = (bar.clone(), Arc::clone(&is_done));
            let draw = move || {
                while !is_done.load(Ordering::Relaxed) {
                    let bytes = file.metadata().map_or(0, |file| file.len());
                    bar.set_message(format!("writing, {} so far", size(bytes)));
                    bar.tick();
                    std::thread::sleep(PROGRESS_INTERVAL);
                }
            };
            // Without another thread, the progress is not shown.
            let _ = std::thread::Builder::new().spawn(draw);
        }
        Self { bar, is_done }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}
