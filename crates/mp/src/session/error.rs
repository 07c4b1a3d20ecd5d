//! Errors as the callers of a session see them.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{AccountProblem, Failure};
use crate::text::indented;

/// There is no account with this name. The details are `account_name` and `available_accounts`.
pub const ACCOUNT_NOT_FOUND: &str = "ACCOUNT_NOT_FOUND";
/// There is an account with this name already. The details are `account_name`.
pub const ACCOUNT_EXISTS: &str = "ACCOUNT_EXISTS";
/// The environment or the config file is invalid, or lacks something.
pub const CONFIG_ERROR: &str = "CONFIG_ERROR";
/// An argument of the caller is invalid.
pub const INVALID_INPUT: &str = "INVALID_INPUT";

/// The global options in messages, and the names of the corresponding arguments.
const ARGUMENTS: [(&str, &str); 5] = [
    ("`--account`", "`account`"),
    ("`--project`", "`project_id`"),
    ("`--db`", "`path`"),
    ("`--base-url`", "`base_url`"),
    ("`--raw`", "`raw`"),
];

/// Why a session or an account could not be used. Contains no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionError {
    /// One of the codes in this module.
    pub code: &'static str,
    /// What failed, and why.
    pub message: String,
    /// An object; its fields depend on the code.
    pub details: Box<Value>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SessionError {
    /// Creates the error for an invalid argument.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: INVALID_INPUT, message: message.into(), details: Box::new(json!({})), hint: None }
    }

    /// Creates the error for an argument that was rejected with this failure.
    pub(super) fn invalid_because(failure: Failure) -> Self {
        Self { code: INVALID_INPUT, ..Self::from(failure) }
    }

    /// Creates the error for requests of a session that was opened without credentials on purpose.
    pub(super) fn offline() -> Self {
        Self {
            code: CONFIG_ERROR,
            message: "the database was opened without credentials".to_owned(),
            details: Box::new(json!({})),
            hint: Some("open it together with an account to send requests to Mixpanel".to_owned()),
        }
    }
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        let (code, details) = match failure.account_problem() {
            Some(AccountProblem::Unknown { name, available }) => {
                (ACCOUNT_NOT_FOUND, json!({ "account_name": name, "available_accounts": available }))
            }
            Some(AccountProblem::Exists { name }) => (ACCOUNT_EXISTS, json!({ "account_name": name })),
            None => (CONFIG_ERROR, json!({})),
        };
        let hints = failure.hints();
        let hint = (!hints.is_empty()).then(|| for_callers(&hints.join("; ")));
        Self { code, message: for_callers(&failure.summary()), details: Box::new(details), hint }
    }
}

/// Rewrites a message of the command for callers that give arguments instead of options, and makes it printable.
fn for_callers(text: &str) -> String {
    let rewrite = |text: String, (option, argument): &(&str, &str)| text.replace(option, argument);
    ARGUMENTS.iter().fold(indented(text, 0), rewrite)
}

impl fmt::Display for SessionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for SessionError {}
