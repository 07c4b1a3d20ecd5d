//! Records that appear more than once.

use serde::Deserialize;

/// Repeats one record at another index of the list, instead of the record that would be there.
///
/// The length of the list does not change: every copy reduces the number of different profiles by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileCopy {
    /// The index of the record to repeat.
    pub from: u64,
    /// The index at which it occurs again. A copy whose `from` or `to` is outside the list has no effect.
    pub to: u64,
    /// Whether the copy differs from its original.
    #[serde(default)]
    pub change: CopyChange,
}

/// Whether a copy is the same as its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyChange {
    /// The copy has the same bytes.
    #[default]
    Identical,
    /// The copy's `$last_seen` is `2027-01-01T00:00:00`, later than that of any generated profile.
    LaterLastSeen,
}

/// Makes `$last_seen` of the record that starts at `start` later, if it is present in the usual form.
pub(super) fn make_last_seen_later(out: &mut [u8], start: usize) {
    const KEY: &[u8] = b"\"$last_seen\":\"";
    const LATER: &[u8] = b"2027-01-01T00:00:00";
    let record = &mut out[start..];
    let Some(key) = record.windows(KEY.len()).position(|window| window == KEY) else { return };
    let value = key + KEY.len();
    if record.get(value + LATER.len()) == Some(&b'"') {
        record[value..value + LATER.len()].copy_from_slice(LATER);
    }
}
