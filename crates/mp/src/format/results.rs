//! Prints the results of SQL queries, one after another.

use std::ops::ControlFlow;

use mixpanel_data::SqlPart;

use super::rows::{Layout, Rows};
use crate::cli::Format;
use crate::failure::Failure;
use crate::output::Output;

/// Prints the results that `run` passes to its argument. Returns the result of `run`; if that is an error, the output may
/// be incomplete, and JSON does not look complete.
///
/// # Errors
/// The output could not be written.
pub(crate) fn print_results(
    output: &Output,
    format: Format,
    layout: Layout,
    run: impl FnOnce(&mut dyn FnMut(SqlPart<'_>) -> ControlFlow<()>) -> mixpanel_data::Result<()>,
) -> Result<mixpanel_data::Result<()>, Failure> {
    let mut results = Results { output, format, layout, rows: None, shown: String::new() };
    let mut failure = None;
    let result = run(&mut |part| match results.part(part) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    match (failure, &result) {
        (Some(failure), _) => return Err(failure),
        (None, Ok(())) => results.end()?,
        (None, Err(_)) => {}
    }
    Ok(result)
}

/// Prints the results of a query as their parts arrive.
#[derive(Debug)]
struct Results<'a> {
    output: &'a Output,
    format: Format,
    layout: Layout,
    rows: Option<Rows>,
    /// The tables so far. They are shown together, so that a pager starts once.
    shown: String,
}

impl Results<'_> {
    /// Prints the next part.
    fn part(&mut self, part: SqlPart<'_>) -> Result<(), Failure> {
        match part {
            SqlPart::Columns(columns) => {
                self.end_rows()?;
                self.rows = Some(Rows::begin(self.output, self.format, columns, self.layout)?);
                Ok(())
            }
            SqlPart::Row(values) => match &mut self.rows {
                Some(rows) => rows.row(self.output, values),
                None => Ok(()),
            },
        }
    }

    /// Ends the output.
    fn end(mut self) -> Result<(), Failure> {
        self.end_rows()?;
        self.output.show(&self.shown)
    }

    fn end_rows(&mut self) -> Result<(), Failure> {
        match self.rows.take() {
            Some(rows) => rows.end(self.output, &mut self.shown),
            None => Ok(()),
        }
    }
}
