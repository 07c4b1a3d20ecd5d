//! Compares the state of the database before the first request with its state at the load. Changes by others are
//! reported before anything is dropped or recreated.

use duckdb::Connection;

use super::dependents::{self, View};
use super::request::LoadRequest;
use super::seen::{Contents, Seen};
use crate::error::{Error, ErrorKind, Result};
use crate::profile_query::IfExists;
use crate::store::open_files::FileId;
use crate::store::table_name::TableName;

impl Seen {
    /// Checks that the database still exists. Must run before the database is opened, because opening creates a missing
    /// one.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_file(&self, request: &LoadRequest) -> Result<()> {
        match FileId::of(&request.database) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_some() => {
                let message = format!(
                    "the database `{}` had {} in table `{}` when the fetch began and no longer exists; it was not \
                     recreated",
                    request.database.display(),
                    self.contents.rows_of(),
                    &request.options.table
                );
                Err(changed(&request.options.table, message))
            }
            _ => Ok(()),
        }
    }

    /// Compares the open database with its earlier state, in the transaction of the load. If the load replaces the
    /// table, returns the views that are readable now.
    ///
    /// # Errors
    /// `TableChanged`, with the difference.
    pub(super) fn check(&self, connection: &Connection, request: &LoadRequest) -> Result<Vec<View>> {
        let now = Contents::look(connection, request.package.run.dataset, &request.options.table)?;
        if let Some(difference) = self.difference(&now, request) {
            return Err(changed(&request.options.table, difference));
        }
        if request.replaces() { dependents::readable_views(connection) } else { Ok(Vec::new()) }
    }

    /// Describes a difference that matters to the load, if there is one.
    fn difference(&self, now: &Contents, request: &LoadRequest) -> Option<String> {
        let (table, before) = (&request.options.table, &self.contents);
        let is_another = self.file.is_some() && FileId::of(&request.database).ok() != self.file;
        // A copy with the same contents is acceptable. Not every file system has stable inode numbers, either.
        if is_another && now != before {
            return Some(format!(
                "the database `{}` has been replaced by another file since the fetch began: it had {} in table \
                 `{table}` then and has {} now",
                request.database.display(),
                before.rows_of(),
                now.rows_of()
            ));
        }
        let fresh: Vec<String> =
            now.additions.iter().filter(|addition| !before.additions.contains(addition)).cloned().collect();
        if !fresh.is_empty() && (before.table.is_some() || request.replaces()) {
            return Some(table_appeared(fresh, request));
        }
        before.table.as_ref()?;
        let keeps_rows = matches!(request.options.if_exists, IfExists::Append | IfExists::Upsert);
        if keeps_rows && (now.table.is_none() || (before.rows > 0 && now.rows == 0)) {
            let (then, now) = (before.rows_of(), now.rows_of());
            return Some(format!("table `{table}` had {then} when the fetch began and has {now} now"));
        }
        let is_other_load = now.table.is_some() && now.last_run != before.last_run;
        is_other_load.then(|| format!("another load has changed table `{table}` since the fetch began"))
    }

    /// Checks that replacing the table broke no views, except those already reported to the caller.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_views(&self, connection: &Connection, views: &[View], request: &LoadRequest) -> Result<()> {
        let broken = dependents::broken(connection, views);
        let fresh: Vec<String> = broken.into_iter().filter(|view| !self.losses.contains(view)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        Err(changed(&request.options.table, table_appeared(fresh, request)))
    }
}

fn table_appeared(what: Vec<String>, request: &LoadRequest) -> String {
    let verb = if what.len() == 1 { "was" } else { "were" };
    let consequence = if request.replaces() { "; replacing the table drops it" } else { "" };
    format!(
        "{} of table `{}` {verb} not present when the fetch began{consequence}",
        what.join(", "),
        &request.options.table
    )
}

fn changed(table: &TableName, message: String) -> Error {
    Error::new(ErrorKind::TableChanged, message).with_detail("table_name", table.as_str())
}
