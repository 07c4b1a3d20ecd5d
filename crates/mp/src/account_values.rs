//! Validates the values of an account.

use mixpanel_data::{Credentials, Error, ProjectId, Region, Secret};

use crate::credential_text::credential_text;

/// Validates the name of an account.
pub(crate) fn account_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the account name is empty or contains a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// Validates the user name of a service account.
pub(crate) fn username(text: &str) -> Result<String, String> {
    let text = credential_text(text.as_bytes()).map_err(|reason| format!("the user name {reason}"))?;
    let checked = Credentials::new(text.clone(), Secret::new("unknown"), "1", Region::Us);
    checked.map(|_| text).map_err(|error| error.to_string())
}

/// Validates a project number.
pub(crate) fn project(text: &str) -> Result<ProjectId, String> {
    let text = credential_text(text.as_bytes()).map_err(|reason| format!("the project id {reason}"))?;
    ProjectId::new(text).map_err(|error| error.to_string())
}

/// Validates a region.
pub(crate) fn region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|error: Error| error.to_string())
}
