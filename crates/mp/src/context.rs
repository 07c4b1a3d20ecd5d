//! What every command is given.

use std::future::Future;

use mixpanel_data::Workspace;
use serde_json::{Map, Value};

use crate::cli::Format;
use crate::env::Environment;
use crate::failure::Failure;
use crate::format::{print_record, print_records};
use crate::output::Output;
use crate::settings::Settings;

/// The settings, the way to the user, and the format that results are wanted in.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    /// The format that was asked for, if one was.
    pub(crate) chosen_format: Option<Format>,
}

impl Context {
    pub(crate) fn environment(&self) -> &Environment {
        &self.settings.environment
    }

    pub(crate) fn format(&self) -> Format {
        self.chosen_format.unwrap_or(Format::Json)
    }

    /// Returns a workspace for the database alone.
    pub(crate) fn database(&self) -> Result<Workspace, Failure> {
        Ok(Workspace::open(self.settings.database(&self.output)?))
    }

    /// Prints a lone result.
    pub(crate) fn print(&self, record: Value) -> Result<(), Failure> {
        print_record(&self.output, self.format(), &fields(record))
    }

    /// Prints a list of results that all have these fields.
    pub(crate) fn print_all(&self, columns: &[&str], records: Vec<Value>) -> Result<(), Failure> {
        print_records(&self.output, self.format(), columns, records.into_iter().map(fields).collect())
    }

    /// Runs what has to wait for the network.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| Failure::new("could not start").caused_by(&error))?.block_on(work)
    }
}

fn fields(record: Value) -> Map<String, Value> {
    match record {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
