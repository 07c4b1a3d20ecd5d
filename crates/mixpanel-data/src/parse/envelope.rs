//! The members of a response other than its records.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rows::ProfileRows;

/// The envelope of a response. Missing and invalid members are `None`.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) page: Option<u64>,
    pub(super) page_size: Option<u64>,
    pub(super) session_id: Option<String>,
    pub(super) total: Option<u64>,
    pub(super) error: Option<String>,
    /// The `status` member, such as `ok`; any value other than a string is kept as raw text.
    pub(super) status: Option<String>,
    /// The first 40 characters of a `total` that is valid JSON but not a count.
    pub(super) invalid_total: Option<String>,
    pub(super) has_results_twice: bool,
    pub(super) rows: Option<ProfileRows>,
    /// The number of bytes after the end of the envelope.
    pub(super) trailing: usize,
}

impl Envelope {
    /// Sets the member `key` from its raw text.
    pub(super) fn set(&mut self, key: Key, value: &str) {
        match key {
            Key::Page => self.page = read_count(value),
            Key::PageSize => self.page_size = read_count(value),
            Key::Total => {
                self.total = read_count(value);
                let is_none =
                    self.total.is_none() && value != "null" && serde_json::from_str::<IgnoredAny>(value).is_ok();
                self.invalid_total = is_none.then(|| value.chars().take(40).collect());
            }
            Key::SessionId => self.session_id = read_session(value),
            Key::Error => self.error = read_text(value),
            Key::Status => self.status = serde_json::from_str(value).ok().or_else(|| Some(value.to_owned())),
            Key::Results | Key::Other => {}
        }
    }

    /// Merges the members from another part of the same response, which take precedence.
    pub(super) fn add(&mut self, other: Self) {
        self.page = other.page.or(self.page);
        self.page_size = other.page_size.or(self.page_size);
        self.session_id = other.session_id.or(self.session_id.take());
        self.total = other.total.or(self.total);
        self.error = other.error.or(self.error.take());
        self.status = other.status.or(self.status.take());
        self.invalid_total = other.invalid_total.or(self.invalid_total.take());
        self.trailing += other.trailing;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
    Page,
    PageSize,
    SessionId,
    Total,
    Error,
    Status,
    Results,
    #[serde(other)]
    Other,
}

impl Key {
    /// Parses a key, including its quotes.
    pub(super) fn of(raw: &[u8]) -> Self {
        serde_json::from_slice(raw).unwrap_or(Self::Other)
    }
}

/// Parses a count: a plain number, a number with a zero fraction or an exponent, or digits in a string. Mixpanel's
/// documentation does not specify the format.
fn read_count(raw: &str) -> Option<u64> {
    let text = raw.trim_matches('"').trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().ok()?;
        // Beyond 2^53 a float cannot represent every integer.
        let is_count = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        return is_count.then(|| format!("{number:.0}").parse().ok()).flatten();
    }
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    whole.parse().ok()
}

/// Returns the contents of a string, or the raw text of any other value. `null`, `false`, 0 and empty values count as
/// missing.
fn read_text(raw: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    (!matches!(text.as_str(), "" | "null" | "false" | "0" | "[]" | "{}")).then_some(text)
}

/// Parses a session id. An id that is not valid JSON counts as missing, because it cannot be sent back unchanged.
fn read_session(raw: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(raw).ok()?;
    read_text(raw).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
}
