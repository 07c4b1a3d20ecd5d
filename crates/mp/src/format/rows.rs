//! Prints rows in any format. All formats except `table` write each row as it arrives, so the number of rows is
//! unlimited.

use mixpanel_data::{SqlResult, SqlValue};
use serde_json::{Map, Value};

use super::json::{self, Json};
use super::table::{self, Kind};
use super::{csv, plain};
use crate::cli::Format;
use crate::failure::Failure;
use crate::output::{Data, Escape, Output};
use crate::text::counted;

/// How rows are shown by the format `table`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) kind: Kind,
    /// Whether every field is on its own line.
    pub(crate) is_expanded: bool,
    /// The maximum number of rows.
    pub(crate) rows_max: u64,
}

impl Layout {
    const REPORT: Self = Self { kind: Kind::Report, is_expanded: false, rows_max: u64::MAX };
}

/// Prints rows as they arrive.
#[derive(Debug)]
pub(crate) struct Rows {
    writer: Writer,
    layout: Layout,
    columns: Vec<String>,
    count: u64,
}

#[derive(Debug)]
enum Writer {
    /// With unique column names.
    Json(Json, Vec<String>),
    Jsonl(Json, Vec<String>),
    Csv(Data),
    Plain(Data),
    Table(Vec<Vec<SqlValue>>),
}

impl Rows {
    /// Starts to print rows with these columns.
    pub(crate) fn begin(output: &Output, format: Format, columns: &[String], layout: Layout) -> Result<Self, Failure> {
        let writer = match format {
            Format::Json => Writer::Json(Json::open(output)?, json::unique(columns)),
            Format::Jsonl => Writer::Jsonl(Json::open(output)?, json::unique(columns)),
            Format::Plain => Writer::Plain(output.data(Escape::Text)),
            Format::Table => Writer::Table(Vec::new()),
            Format::Csv => {
                let mut data = output.data(Escape::Text);
                csv::header(&mut data, columns, output.formulas())?;
                Writer::Csv(data)
            }
        };
        Ok(Self { writer, layout, columns: columns.to_vec(), count: 0 })
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, output: &Output, values: Vec<SqlValue>) -> Result<(), Failure> {
        match &mut self.writer {
            Writer::Json(json, columns) => json.element(self.count, columns, &values)?,
            Writer::Jsonl(json, columns) => json.line(columns, &values)?,
            Writer::Csv(data) => csv::row(data, &values, output.formulas())?,
            Writer::Plain(data) => plain::row(data, &self.columns, &values, self.layout.kind)?,
            Writer::Table(kept) if self.count < self.layout.rows_max => kept.push(values),
            Writer::Table(_) => {}
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the output. A table is appended to `shown`, which the caller shows.
    pub(crate) fn end(self, output: &Output, shown: &mut String) -> Result<(), Failure> {
        let Self { writer, layout, columns, count } = self;
        match writer {
            Writer::Json(mut json, _) => {
                json.end_array(count)?;
                json.finish()
            }
            Writer::Jsonl(json, _) => json.finish(),
            Writer::Csv(data) | Writer::Plain(data) => data.finish(),
            Writer::Table(rows) => {
                if !shown.is_empty() {
                    shown.push('\n');
                }
                let target = target(output);
                let text = match layout.is_expanded {
                    true => None,
                    false => table::rows(&columns, &rows, layout.kind, target),
                };
                shown.push_str(&text.unwrap_or_else(|| table::expanded(&columns, &rows, target)));
                shown.push('\n');
                let rest = count - rows.len() as u64;
                if rest > 0 {
                    let shows = if rest == 1 { "shows it" } else { "shows them" };
                    shown.push_str(&format!("... {}; --all {shows}\n", counted(rest, "more row")));
                }
                Ok(())
            }
        }
    }
}

/// Prints records that all have these columns.
pub(crate) fn print_records(
    output: &Output,
    format: Format,
    columns: &[&str],
    records: Vec<Map<String, Value>>,
) -> Result<(), Failure> {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let mut rows = Rows::begin(output, format, &columns, Layout::REPORT)?;
    for mut record in records {
        let values = columns.iter().map(|column| record.remove(column).unwrap_or_default().into());
        rows.row(output, values.collect())?;
    }
    let mut shown = String::new();
    rows.end(output, &mut shown)?;
    output.show(&shown)
}

/// Prints the result of a query as a table.
pub(crate) fn print_result(output: &Output, result: &SqlResult) -> Result<(), Failure> {
    let layout = Layout { kind: Kind::Query, ..Layout::REPORT };
    let mut rows = Rows::begin(output, Format::Table, &result.columns, layout)?;
    for row in &result.rows {
        rows.row(output, row.iter().cloned().map(Into::into).collect())?;
    }
    let mut shown = String::new();
    rows.end(output, &mut shown)?;
    output.show(&shown)
}

/// Prints a single record.
pub(crate) fn print_record(output: &Output, format: Format, record: &Map<String, Value>) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let mut json = Json::open(output)?;
            json.record(record)?;
            json.finish()
        }
        Format::Jsonl => {
            let mut json = Json::open(output)?;
            json.record_line(record)?;
            json.finish()
        }
        Format::Plain => {
            let mut data = output.data(Escape::Text);
            plain::record(&mut data, record)?;
            data.finish()
        }
        Format::Table => output.show(&format!("{}\n", table::record(record, target(output)))),
        Format::Csv => {
            let mut data = output.data(Escape::Text);
            csv::header(&mut data, &record.keys().cloned().collect::<Vec<_>>(), output.formulas())?;
            let values: Vec<SqlValue> = record.values().cloned().map(Into::into).collect();
            csv::row(&mut data, &values, output.formulas())?;
            data.finish()
        }
    }
}

/// Prints a single value: as JSON in the JSON formats, and without quotes in the others.
pub(crate) fn print_value(output: &Output, format: Format, value: &SqlValue) -> Result<(), Failure> {
    if matches!(format, Format::Json | Format::Jsonl) {
        let mut json = Json::open(output)?;
        json.value(value)?;
        return json.finish();
    }
    let mut data = output.data(Escape::Text);
    data.line(&plain::text(value))?;
    data.finish()
}

fn target(output: &Output) -> table::Target {
    match output.stdout_is_terminal() {
        true => table::Target::Terminal { width: output.width(), color: output.styles_tables() },
        false => table::Target::Pipe,
    }
}
