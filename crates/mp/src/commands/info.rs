//! `mp info`: versions, paths, the account, the database and the quotas.

use std::path::Path;

use mixpanel_data::{QuotaUsage, Workspace};
use serde_json::{Map, Value, json};

use crate::accounts::Accounts;
use crate::cli::Format;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::settings::Identity;
use crate::text::{counted, size};

/// Runs `mp info`. What cannot be determined is null, and a warning says why.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let identity = match context.settings.identity(&context.output) {
        Ok(identity) => Some(identity),
        Err(_) if !context.settings.names_credentials() => None,
        Err(failure) => {
            context.output.warning(&failure.summary());
            None
        }
    };
    let config_path = known(context, Accounts::path_of(context.environment()));
    let database = context.settings.database(&context.output.silent()).ok();
    let quotas = identity.as_ref().and_then(|identity| quotas(context, identity));
    let (quota, export_quota) = quotas.unwrap_or_default();
    let of_identity = |field: fn(&Identity) -> String| identity.as_ref().map(field);
    let mut record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "duckdb_version": known(context, duckdb_version()),
        "config_path": config_path.map(|path| path.display().to_string()),
        "account": identity.as_ref().and_then(|identity| identity.account.clone()),
        "username": of_identity(|identity| identity.credentials.username.clone()),
        "project_id": of_identity(|identity| identity.credentials.project_id.to_string()),
        "region": of_identity(|identity| identity.credentials.region.to_string()),
        "host": identity.as_ref().map(|identity| host(context, identity)),
        "database": database.as_ref().map(|path| path.display().to_string()),
    });
    if let Value::Object(fields) = &mut record {
        fields.append(&mut database.as_deref().map_or_else(unknown_database, |path| about_database(context, path)));
        let quotas = [("quota", quota), ("export_quota", export_quota)];
        for (field, quota) in &quotas {
            fields.insert((*field).to_owned(), serde_json::to_value(quota).expect("a quota is plain data"));
        }
        if !matches!(context.format(), Format::Json | Format::Jsonl) {
            make_readable(fields, &quotas);
        }
    }
    context.print(record).map(|()| Exit::Success)
}

/// Returns the value, or shows why it is unknown.
fn known<T>(context: &Context, result: Result<T, Failure>) -> Option<T> {
    result.map_err(|failure| context.output.warning(&failure.summary())).ok()
}

fn duckdb_version() -> Result<String, Failure> {
    let version = Workspace::duckdb_version();
    version.map_err(|error| Failure::library("could not read the version of DuckDB", &error))
}

/// Returns the host that receives the requests.
fn host(context: &Context, identity: &Identity) -> String {
    let of_region = || identity.credentials.region.query_host().to_owned();
    context.settings.base_url.clone().unwrap_or_else(of_region)
}

/// Returns how much of the quotas for queries and for exports is used.
fn quotas(context: &Context, identity: &Identity) -> Option<(Option<QuotaUsage>, Option<QuotaUsage>)> {
    let workspace = known(context, context.settings.workspace(identity, &context.output.silent()))?;
    let failed = |error| Failure::library("could not read the quota ledger", &error);
    let both = context.block_on(async { Ok((workspace.quota_usage(), workspace.export_quota_usage())) });
    let (queries, exports) = known(context, both)?;
    Some((known(context, queries.map_err(failed)), known(context, exports.map_err(failed))))
}

fn unknown_database() -> Map<String, Value> {
    ["database_bytes", "tables", "unfinished_runs"].map(|field| (field.to_owned(), Value::Null)).into_iter().collect()
}

fn about_database(context: &Context, path: &Path) -> Map<String, Value> {
    let workspace = Workspace::open(path);
    let mut fields = unknown_database();
    context.repair(&workspace);
    if let Ok(file) = std::fs::metadata(path) {
        fields.insert("database_bytes".to_owned(), file.len().into());
        let tables = workspace.tables().map_err(|error| Failure::library("could not list the tables", &error));
        let names = known(context, tables).map(|tables| tables.into_iter().map(|table| table.name).collect::<Vec<_>>());
        fields.insert("tables".to_owned(), names.into());
    }
    let runs = workspace.unfinished_runs();
    let runs = runs.map_err(|error| Failure::library("could not list the unfinished runs", &error));
    fields.insert("unfinished_runs".to_owned(), known(context, runs).map(|runs| runs.len()).into());
    fields
}

/// Replaces lists, sizes and quotas by text.
fn make_readable(fields: &mut Map<String, Value>, quotas: &[(&str, Option<QuotaUsage>)]) {
    let bytes = fields.get("database_bytes").and_then(Value::as_u64);
    fields.insert("database_bytes".to_owned(), bytes.map(size).into());
    let tables = fields.get("tables").and_then(Value::as_array).map(|names| {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(", ")
    });
    fields.insert("tables".to_owned(), tables.into());
    for (field, quota) in quotas {
        fields.insert((*field).to_owned(), quota.as_ref().map(quota_text).into());
    }
}

fn quota_text(quota: &QuotaUsage) -> String {
    let next = match &quota.next_free_at {
        Some(moment) => format!("the next one is possible at {moment}"),
        None => "the next one is possible now".to_owned(),
    };
    format!("{} of {} used; {next}", quota.used, counted(quota.limit.into(), "request"))
}
