//! Validates and tests the values of an account.

use std::time::Duration;

use mixpanel_data::{Credentials, Error, ErrorKind, Fault, ProjectId, Region, Secret, Timeouts};

use crate::context::Context;
use crate::credential_text::credential_text;
use crate::failure::Failure;
use crate::settings::Identity;

/// How long to wait for the response to the test of new credentials.
const TEST_WAIT: Duration = Duration::from_secs(10);

/// Validates the name of an account.
pub(super) fn account_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the account name is empty or contains a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// Validates the user name of a service account.
pub(super) fn username(text: &str) -> Result<String, String> {
    let text = credential_text(text.as_bytes()).map_err(|reason| format!("the user name {reason}"))?;
    let checked = Credentials::new(text.clone(), Secret::new("unknown"), "1", Region::Us);
    checked.map(|_| text).map_err(|error| error.to_string())
}

/// Validates a project number.
pub(super) fn project(text: &str) -> Result<ProjectId, String> {
    let text = credential_text(text.as_bytes()).map_err(|reason| format!("the project id {reason}"))?;
    ProjectId::new(text).map_err(|error| error.to_string())
}

/// Validates a region.
pub(super) fn region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Validates the value of an option, if it is given.
pub(super) fn option<T>(
    value: Option<&String>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    value.map(|value| check(value).map_err(Failure::usage)).transpose()
}

/// Tests credentials with one request. Returns whether they were confirmed; if Mixpanel cannot tell, shows a warning.
///
/// # Errors
/// A failure if the server rejects them, so that they must not be saved.
pub(super) fn test(context: &Context, name: &str, credentials: &Credentials) -> Result<bool, Failure> {
    let identity = Identity { account: Some(name.to_owned()), credentials: credentials.clone() };
    let workspace = context.settings.workspace(&identity, &context.output)?;
    let workspace = workspace.with_timeouts(Timeouts { call: TEST_WAIT, ..Timeouts::default() });
    let Err(error) = context.block_on(async { Ok(workspace.test_credentials().await) })? else { return Ok(true) };
    let headline = format!("account `{name}` was not saved, because Mixpanel rejected the credentials");
    if error.fault() == Some(Fault::Region) {
        return Err(Failure::without_hint(headline, &error).hint(
            "the project seems to be in another region (see data residency in its Mixpanel settings): use `--region`",
        ));
    }
    let is_rejection =
        matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden) && error.fault().is_none();
    if is_rejection {
        return Err(context.failed(headline, &error).hint("`--no-test` saves them anyway"));
    }
    let mut reason = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        reason.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    context.output.warning(&format!("the credentials of account `{name}` could not be tested: {reason}"));
    context.output.hint(&format!("test them later with `{}`", context.command(&["auth", "test", name])));
    Ok(false)
}

/// Returns how the credentials were tested, for the end of a sentence.
pub(super) fn outcome(tested: bool) -> &'static str {
    if tested { "; the credentials are valid" } else { "; the credentials were not tested" }
}
