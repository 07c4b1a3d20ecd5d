//! Records that occur more than once.

use serde::Deserialize;

use super::write::push_time;

/// How long after the reference time the `$last_seen` of [`CopyChange::LaterLastSeen`] is, in seconds.
pub(super) const LATER: u64 = 102 * 86_400 + 43_200;

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
    /// The copy's `$last_seen` is 102.5 days after the reference time, later than that of any generated profile: by
    /// default `2027-01-01T00:00:00`.
    LaterLastSeen,
}

/// Changes the `$last_seen` of the record at `start` to `seconds` since the epoch, if it is present in the usual format.
pub(super) fn set_last_seen(out: &mut [u8], start: usize, seconds: u64) {
    const KEY: &[u8] = b"\"$last_seen\":\"";
    let mut time = Vec::with_capacity(19);
    push_time(&mut time, seconds);
    let record = &mut out[start..];
    let Some(key) = record.windows(KEY.len()).position(|window| window == KEY) else { return };
    let value = key + KEY.len();
    if record.get(value + time.len()) == Some(&b'"') {
        record[value..value + time.len()].copy_from_slice(&time);
    }
}
