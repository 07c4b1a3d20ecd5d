//! The formats `json`, indented by two spaces, and `jsonl`, one value per line. Both are what `--jq` filters.

use mixpanel_data::SqlValue;
use serde_json::{Map, Value};

use super::filter::Filter;
use crate::failure::Failure;
use crate::output::{Data, Escape, Output};

/// Writes JSON to standard output, through the filter of `--jq` if there is one.
#[derive(Debug)]
pub(super) struct Json {
    data: Data,
    /// The filter, and the text that it has not seen yet.
    filter: Option<(Filter, String)>,
}

impl Json {
    pub(super) fn open(output: &Output) -> Result<Self, Failure> {
        let filter = output.jq().map(Filter::compile).transpose()?;
        Ok(Self { data: output.data(Escape::Json), filter: filter.map(|filter| (filter, String::new())) })
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.filter {
            None => self.data.text(text),
            Some((_, pending)) => {
                pending.push_str(text);
                Ok(())
            }
        }
    }

    /// Ends a JSON value that the filter can be applied to.
    fn end_value(&mut self) -> Result<(), Failure> {
        self.write("\n")?;
        let Some((filter, pending)) = &mut self.filter else { return Ok(()) };
        let data = &mut self.data;
        filter.apply(pending, |line| data.line(line))?;
        pending.clear();
        Ok(())
    }

    /// Writes a row on one line.
    pub(super) fn line(&mut self, columns: &[String], values: &[SqlValue]) -> Result<(), Failure> {
        let mut line = String::from("{");
        for (position, (column, value)) in columns.iter().zip(values).enumerate() {
            let separator = if position == 0 { "" } else { "," };
            line.push_str(&format!("{separator}{}:{value}", quoted(column)));
        }
        line.push('}');
        self.write(&one_line(line))?;
        self.end_value()
    }

    /// Writes a value on one line.
    pub(super) fn value(&mut self, value: &SqlValue) -> Result<(), Failure> {
        self.write(&one_line(value.to_string()))?;
        self.end_value()
    }

    /// Writes a single record on one line.
    pub(super) fn record_line(&mut self, record: &Map<String, Value>) -> Result<(), Failure> {
        self.write(&serde_json::to_string(record).expect("keys are texts"))?;
        self.end_value()
    }

    /// Writes a single record as indented JSON.
    pub(super) fn record(&mut self, record: &Map<String, Value>) -> Result<(), Failure> {
        self.write(&serde_json::to_string_pretty(record).expect("keys are texts"))?;
        self.end_value()
    }

    /// Writes a row as an array element, preceded by its separator. Each value is on one line.
    pub(super) fn element(&mut self, position: u64, columns: &[String], values: &[SqlValue]) -> Result<(), Failure> {
        let mut text = String::from(if position == 0 { "[\n  {" } else { ",\n  {" });
        for (position, (column, value)) in columns.iter().zip(values).enumerate() {
            let separator = if position == 0 { "" } else { "," };
            text.push_str(&format!("{separator}\n    {}: {value}", quoted(column)));
        }
        text.push_str("\n  }");
        self.write(&text)
    }

    /// Ends an array with this number of elements.
    pub(super) fn end_array(&mut self, elements: u64) -> Result<(), Failure> {
        self.write(if elements == 0 { "[]" } else { "\n]" })?;
        self.end_value()
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        self.data.finish()
    }
}

/// Makes column names unique by appending numbers, as DuckDB does: `a`, `a_1`.
pub(super) fn unique(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = column.clone();
        let mut number = 0;
        while names.contains(&name) || (number > 0 && columns.contains(&name)) {
            number += 1;
            name = format!("{column}_{number}");
        }
        names.push(name);
    }
    names
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is a JSON string")
}

/// Replaces line ends, which are whitespace in JSON: those inside strings are escaped.
fn one_line(json: String) -> String {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_the_same_name_are_numbered() {
        let names = |columns: &[&str]| unique(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "b"]), ["a", "b"]);
        assert_eq!(names(&["a", "a", "a_1", "a"]), ["a", "a_2", "a_1", "a_3"]);
    }
}
