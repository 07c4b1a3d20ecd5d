//! `mp models dbt`: a dbt project that runs Fivetran's package on a table of events.
//!
//! The package reads a source, `mixpanel.event`, and looks at its columns when it is compiled. A dbt model could not be
//! ordered before a source, so a hook creates the view at the start of every run.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use mixpanel_data::{ErrorKind, Workspace};
use serde_json::json;

use crate::cli::DbtArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::partial_file::PartialFile;
use crate::text::{counted, shell_quoted};

const DBT_PROJECT: &str = include_str!("dbt/dbt_project.yml");
const EVENT_VIEW: &str = include_str!("dbt/mixpanel_event.sql");
const PACKAGES: &str = include_str!("dbt/packages.yml");
const PROFILES: &str = include_str!("dbt/profiles.yml");
const README: &str = include_str!("dbt/README.md");

/// The columns that the view reads.
const COLUMNS: [&str; 5] = ["event_name", "event_time", "distinct_id", "insert_id", "properties"];

/// Runs `mp models dbt`.
pub(crate) fn run(context: &Context, arguments: &DbtArgs) -> Result<Exit, Failure> {
    let directory = context.path(&arguments.directory)?;
    let workspace = context.database()?;
    let table = events_table(&workspace, arguments.table.as_deref().unwrap_or("events"))?;
    let database = absolute_text(workspace.database())?;
    check_name(&database)?;
    if fs::metadata(&directory).is_ok_and(|found| !found.is_dir()) {
        return Err(Failure::usage(format!("`{}` is not a directory", directory.display())).hint("use another name"));
    }
    // The README is read in the directory of the project.
    let query = format!("mp query sql 'FROM main_mixpanel.mixpanel__daily_events' --db {}", shell_quoted(&database));
    let files = [
        ("README.md", README.replace("QUERY_COMMAND", &query)),
        ("dbt_project.yml", DBT_PROJECT.to_owned()),
        ("macros/mixpanel_event.sql", event_view(&workspace, &table)),
        ("packages.yml", PACKAGES.to_owned()),
        ("profiles.yml", PROFILES.replace("DATABASE_PATH", &yaml_text(&database))),
    ];
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    if !arguments.force {
        check_is_free(&directory, &names)?;
    }
    for (name, text) in &files {
        write(&directory.join(name), text, arguments.force)?;
    }
    let shown = context.shown_path(&directory);
    let next = format!("run the commands in `{}`", context.shown_path(&directory.join("README.md")));
    context.output.note(&format!("wrote {} to `{shown}`: {next}", counted(names.len() as u64, "file")));
    if !context.is_for_people() {
        context.print(json!({
            "directory": directory.display().to_string(), "database": database, "table": table, "files": names,
        }))?;
    }
    Ok(Exit::Success)
}

/// Returns the name of the table as it was created, if it is a table of events.
fn events_table(workspace: &Workspace, table: &str) -> Result<String, Failure> {
    const FETCH: &str = "fetch events first, as with `mp fetch events --from 30d --to today --parallel`";
    let schema = workspace.table_schema(table).map_err(|error| {
        let headline = format!("could not read the table `{table}`");
        match error.kind() {
            ErrorKind::TableNotFound => Failure::library(headline, &error).hint(FETCH),
            ErrorKind::DatabaseNotFound => {
                Failure::without_hint(headline, &error).hint(format!("{FETCH}, or name another file with `--db`"))
            }
            _ => Failure::library(headline, &error),
        }
    })?;
    let has = |name: &str| schema.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let missing: Vec<String> = COLUMNS.iter().filter(|name| !has(name)).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        return Ok(schema.table_name);
    }
    let what = if missing.len() == 1 { "no column" } else { "no columns" };
    Err(Failure::usage(format!("`{table}` is not a table of events: it has {what} {}", missing.join(", ")))
        .hint(format!("name a table of events, or {FETCH}")))
}

/// Returns the macro file with the name of the table, and with the time of its last load if one is recorded.
fn event_view(workspace: &Workspace, table: &str) -> String {
    let literal = table.replace('\'', "''");
    let is_loaded = workspace
        .tables()
        .is_ok_and(|tables| tables.iter().any(|found| found.name == table && found.fetched_at.is_some()));
    let fetched_at = match is_loaded {
        true => format!("(SELECT max(fetched_at)::TIMESTAMP FROM main._metadata WHERE table_name = '{literal}')"),
        false => "NULL::TIMESTAMP".to_owned(),
    };
    let quoted = format!("\"{}\"", table.replace('"', "\"\""));
    EVENT_VIEW.replace("FETCHED_AT", &without_jinja(&fetched_at)).replace("TABLE_NAME", &without_jinja(&quoted))
}

/// Checks that no file of the project exists, before the first is written.
fn check_is_free(directory: &Path, names: &[&str]) -> Result<(), Failure> {
    let existing: Vec<String> = names
        .iter()
        .map(|name| directory.join(name))
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    if existing.is_empty() {
        return Ok(());
    }
    let verb = if existing.len() == 1 { "exists" } else { "exist" };
    Err(Failure::new(format!("{} {verb}", existing.join(", ")))
        .hint("use `--force` to replace the files, or another directory"))
}

fn write(path: &Path, text: &str, replaces: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(format!("could not write `{}`", path.display()), &error);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let partial = PartialFile::create(path, replaces)?;
    partial.file().as_ref().write_all(text.as_bytes()).map_err(failed)?;
    partial.publish().map(|_| ())
}

/// Returns the absolute path of the database, because dbt opens it from another directory. DuckDB opens no path that is
/// not UTF-8.
fn absolute_text(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::io(format!("cannot use the path `{}`", path.display()), &error);
    Ok(std::path::absolute(path).map_err(failed)?.display().to_string())
}

/// Checks that dbt can open the database: dbt-duckdb parses the path as a URL and takes the name of the catalog from it,
/// without quoting. DuckDB rejects catalogs with the names of its own.
fn check_name(path: &str) -> Result<(), Failure> {
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let is_plain = |character: char| !character.is_control() && !"'\".".contains(character);
    let is_reserved = ["main", "temp", "system"].iter().any(|name| stem.eq_ignore_ascii_case(name));
    if !path.contains(['?', '#', ';']) && stem.chars().all(is_plain) && !is_reserved {
        return Ok(());
    }
    Err(Failure::usage(format!("dbt cannot open a database with the path `{path}`")).hint(
        "copy it, and name the copy with `--db`: without `?`, `#` and `;` in the path, without quotes and dots before \
         the ending, and not `main`, `temp` or `system`",
    ))
}

/// Quotes a text for YAML that dbt renders with Jinja. A JSON string is a double-quoted YAML string.
fn yaml_text(text: &str) -> String {
    without_jinja(&serde_json::Value::from(text).to_string())
}

/// Escapes what would begin a Jinja expression, statement or comment.
fn without_jinja(text: &str) -> String {
    text.replace('{', "{{ '{' }}")
}
