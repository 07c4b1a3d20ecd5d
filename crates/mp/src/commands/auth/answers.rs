//! Validates options, and tests the credentials of an account.

use std::time::Duration;

use mixpanel_data::{Credentials, ErrorKind, Fault, Timeouts};

use crate::context::Context;
use crate::failure::Failure;
use crate::settings::Identity;

/// How long to wait for the response to the test of new credentials.
const TEST_WAIT: Duration = Duration::from_secs(10);

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
