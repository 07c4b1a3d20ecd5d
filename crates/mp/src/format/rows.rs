//! Prints rows in any format. All formats except `table` write each row as it arrives, so the number of rows is
//! unlimited.

use serde_json::{Map, Value};

use super::{csv, json, plain, table};
use crate::cli::Format;
use crate::failure::Failure;
use crate::output::{Data, Escape, Formulas, Output};

/// Prints rows as they arrive.
#[derive(Debug)]
pub(crate) struct Rows {
    format: Format,
    formulas: Formulas,
    data: Data,
    reader: table::Target,
    columns: Vec<String>,
    count: u64,
    kept: Vec<Vec<Value>>,
}

impl Rows {
    /// Starts to print rows with these columns.
    pub(crate) fn begin(output: &Output, format: Format, columns: &[String]) -> Result<Self, Failure> {
        let mut rows = Self {
            format,
            formulas: output.formulas(),
            data: open(output, format),
            reader: reader(output),
            columns: json::unique(columns),
            count: 0,
            kept: Vec::new(),
        };
        if format == Format::Csv {
            csv::header(&mut rows.data, columns, rows.formulas)?;
        }
        Ok(rows)
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, values: Vec<Value>) -> Result<(), Failure> {
        match self.format {
            Format::Json => json::element(&mut self.data, self.count, &json::object(&self.columns, values))?,
            Format::Jsonl => json::line(&mut self.data, &json::object(&self.columns, values))?,
            Format::Csv => csv::row(&mut self.data, &values, self.formulas)?,
            Format::Plain => plain::row(&mut self.data, &self.columns, &values)?,
            Format::Table => self.kept.push(values),
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the output.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        match self.format {
            Format::Json => json::end(&mut self.data, self.count)?,
            Format::Table => table::rows(&mut self.data, &self.columns, &self.kept, self.reader)?,
            Format::Jsonl | Format::Csv | Format::Plain => {}
        }
        self.data.finish()
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
    let mut rows = Rows::begin(output, format, &columns)?;
    for mut record in records {
        rows.row(columns.iter().map(|column| record.remove(column).unwrap_or_default()).collect())?;
    }
    rows.end()
}

/// Prints a single record.
pub(crate) fn print_record(output: &Output, format: Format, record: &Map<String, Value>) -> Result<(), Failure> {
    let mut data = open(output, format);
    match format {
        Format::Json => json::record(&mut data, record)?,
        Format::Jsonl => json::line(&mut data, record)?,
        Format::Plain => plain::record(&mut data, record)?,
        Format::Table => table::record(&mut data, record, reader(output))?,
        Format::Csv => {
            csv::header(&mut data, &record.keys().cloned().collect::<Vec<_>>(), output.formulas())?;
            csv::row(&mut data, &record.values().cloned().collect::<Vec<_>>(), output.formulas())?;
        }
    }
    data.finish()
}

fn open(output: &Output, format: Format) -> Data {
    output.data(if matches!(format, Format::Json | Format::Jsonl) { Escape::Json } else { Escape::Text })
}

fn reader(output: &Output) -> table::Target {
    if output.stdout_is_terminal() { table::Target::Terminal { width: output.width() } } else { table::Target::Pipe }
}
