//! Project credentials, with a secret that cannot be printed.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::printable;

/// A secret that cannot be formatted, compared or serialised; its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Creates a secret from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Returns the text. Use it only where the secret is sent or stored.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}

/// Quotes an invalid value of a public field, unless its length suggests a misplaced secret.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 12;
    match text.chars().count() {
        0..=CHARS_MAX => format!("`{}`", printable(text)),
        count => format!("({count} characters, not shown)"),
    }
}

/// The data residency of a project, which determines the host (`docs/mixpanel-api.md#hosts-and-regions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// `mixpanel.com`, the default.
    #[default]
    Us,
    /// `eu.mixpanel.com`.
    Eu,
    /// `in.mixpanel.com`.
    In,
}

impl Region {
    /// Returns `us`, `eu` or `in`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::In => "in",
        }
    }

    /// Returns the host of the Query API (`docs/mixpanel-api.md#hosts-and-regions`).
    #[must_use]
    pub const fn query_host(self) -> &'static str {
        match self {
            Self::Us => "mixpanel.com",
            Self::Eu => "eu.mixpanel.com",
            Self::In => "in.mixpanel.com",
        }
    }

    /// Returns the host of the Export API (`docs/mixpanel-api.md#hosts-and-regions`).
    #[must_use]
    pub const fn data_host(self) -> &'static str {
        match self {
            Self::Us => "data.mixpanel.com",
            Self::Eu => "data-eu.mixpanel.com",
            Self::In => "data-in.mixpanel.com",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = Error;

    /// Parses `us`, `eu` or `in`, ignoring case.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            "in" => Ok(Self::In),
            _ => Err(Error::invalid(format!("unknown region {}: use us, eu or in", shown(text)))),
        }
    }
}

/// The numeric id of a project, kept as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ProjectId(String);

impl ProjectId {
    /// Parses a project id: 1 to 20 ASCII digits, as shown in the project's settings.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text));
        }
        let shown = shown(&text);
        Err(Error::invalid(format!("the value {shown} is not a project id; use the number in the project's settings")))
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A service account and the project that it is used for.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The service account's user name.
    pub username: String,
    /// The service account's secret.
    pub secret: Secret,
    /// The project to read from.
    pub project_id: ProjectId,
    /// The region that stores the project's data.
    pub region: Region,
}

impl Credentials {
    /// Creates credentials.
    ///
    /// # Errors
    /// `InvalidInput` when the user name or the secret is empty or contains a control character, when the user name
    /// contains a colon (HTTP Basic cannot carry it), or when the project id is not a number.
    pub fn new(
        username: impl Into<String>,
        secret: Secret,
        project_id: impl Into<String>,
        region: Region,
    ) -> Result<Self> {
        let username = username.into();
        if username.is_empty() || username.contains(':') || username.chars().any(char::is_control) {
            return Err(Error::invalid("the user name is empty, or contains a colon or a control character"));
        }
        if secret.expose().is_empty() || secret.expose().chars().any(char::is_control) {
            return Err(Error::invalid("the secret is empty, or contains a control character such as a line break"));
        }
        Ok(Self { username, secret, project_id: ProjectId::new(project_id)?, region })
    }
}
