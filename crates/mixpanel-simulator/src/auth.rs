//! Authentication: HTTP Basic and the project ID.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::StatusCode;

use crate::config::{AuthRefusal, SimulatorConfig};
use crate::message::{Reply, Request};
use crate::params::Params;

/// Checks the credentials and the project ID; returns the error response if they are wrong, and `None` otherwise.
///
/// The error texts for 401 and 403 are assumptions: the sources give only the status
/// (`docs/mixpanel-api.md#errors-by-status`).
pub(crate) fn check(config: &SimulatorConfig, request: &Request, params: &Params) -> Option<Reply> {
    let expected = format!("{}:{}", config.username, config.secret);
    let known = request.authorization.as_deref().and_then(|value| credentials(value, &expected)).is_some();
    if !known {
        return Some(match config.auth_refusal {
            AuthRefusal::Unauthorized => Reply::error(StatusCode::UNAUTHORIZED, "Invalid credentials"),
            AuthRefusal::BadRequest => Reply::error(StatusCode::BAD_REQUEST, "Unable to authenticate request"),
        });
    }
    match params.get("project_id") {
        Some(project) if project == config.project_id => None,
        Some(project) => Some(Reply::error(
            StatusCode::FORBIDDEN,
            &format!("The service account has no access to project_id: {project}"),
        )),
        None => Some(Reply::error(StatusCode::BAD_REQUEST, "project_id is a required parameter for service accounts")),
    }
}

/// Accepts both Base64 and plain text after `Basic `, as Mixpanel does (`docs/mixpanel-api.md#authentication`).
fn credentials(header: &str, expected: &str) -> Option<()> {
    let (scheme, value) = header.split_once(' ')?;
    let value = value.trim();
    let decoded = STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value));
    let known = value == expected || decoded.is_ok_and(|bytes| bytes == expected.as_bytes());
    (scheme.eq_ignore_ascii_case("basic") && known).then_some(())
}
