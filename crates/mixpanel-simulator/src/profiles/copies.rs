//! Records that occur more than once.

use serde::Deserialize;

/// A record to repeat at another index, in place of the record there.
///
/// The length of the list does not change: every copy reduces the number of distinct profiles by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileCopy {
    /// The index of the record to repeat.
    pub from: u64,
    /// The index of the copy. A copy whose `from` or `to` is outside the list has no effect.
    pub to: u64,
    /// Whether the copy differs from its original.
    #[serde(default)]
    pub change: CopyChange,
}

/// How a copy differs from its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyChange {
    /// The copy is identical, byte for byte.
    #[default]
    Identical,
    /// The copy's `$last_seen` is `2027-01-01T00:00:00`, later than that of any generated profile.
    LaterLastSeen,
}

/// Changes the `$last_seen` of the record at `start` to a later time, if it is present in the usual format.
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
