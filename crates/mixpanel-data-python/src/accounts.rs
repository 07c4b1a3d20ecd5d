//! The stored accounts.

use std::path::PathBuf;

use mixpanel_data::Secret;
use mp::session::{self, AccountStore, Choice, NewAccount};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::error::{invalid, malformed, refused};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    config_path: Option<PathBuf>,
    account: Option<String>,
    name: Option<String>,
    username: String,
    secret: String,
    project_id: String,
    region: String,
}

/// Lists or changes the accounts. Returns the value with what `mp` would have shown as notes and warnings.
pub(crate) fn accounts(operation: &str, arguments: &str) -> PyResult<String> {
    let given: Arguments = serde_json::from_str(arguments).map_err(|error| malformed(&error))?;
    let config_path = given.config_path.clone();
    let store = AccountStore::open(given.config_path.clone()).map_err(|error| refused(&error))?;
    let name = given.name.clone().unwrap_or_default();
    let result = match operation {
        "list" => store.list().map(|accounts| json!(accounts)),
        "get" => store.get(given.name.as_deref()).map(|account| json!(account)),
        "add" => {
            let Arguments { username, secret, project_id, region, .. } = given;
            let secret = Secret::new(secret);
            store.add(NewAccount { name, username, secret, project_id, region }).map(|account| json!(account))
        }
        "remove" => store.remove(&name).map(|()| json!(null)),
        "set_default" => store.set_default(&name).map(|()| json!(null)),
        "path" => store.path().map(|path| json!({ "path": path })),
        "resolve" => return resolve(given.account, config_path),
        _ => return Err(invalid(&format!("there is no operation `{operation}` of accounts"))),
    };
    let value = result.map_err(|error| refused(&error))?;
    Ok(json!({ "value": value, "notes": store.notes(), "warnings": store.warnings() }).to_string())
}

/// Returns the credentials that a session would use, with the secret.
fn resolve(account: Option<String>, config_path: Option<PathBuf>) -> PyResult<String> {
    let choice = Choice { account, config_path, ..Choice::default() };
    let session = session::open(choice).map_err(|error| refused(&error))?;
    session.check_credentials().map_err(|error| refused(&error))?;
    let found = session.credentials().map(|found| {
        json!({
            "username": found.username, "secret": found.secret.expose(), "project_id": found.project_id,
            "region": found.region,
        })
    });
    Ok(json!({ "value": found, "notes": session.notes(), "warnings": session.warnings() }).to_string())
}
