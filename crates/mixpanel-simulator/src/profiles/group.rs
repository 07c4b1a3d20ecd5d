//! Generates group profiles (companies), for requests with `data_group_id`.

use super::tables::{COMPANIES, COUNTRIES, INDUSTRIES};
use super::write::{push, push_hex, push_hundredths, push_number, push_time};
use crate::hash::{Sequence, mix};

/// Writes the distinct ID of a group profile, without quotes. IDs are unique across `data_group_id`s.
pub(super) fn push_distinct_id(out: &mut Vec<u8>, seed: u64, index: u64) {
    push(out, "group-");
    push_hex(out, mix(index ^ mix(seed)), 16);
}

/// Writes a complete group record in the format of the Engage API. No time in it is after `reference`, in seconds since
/// the epoch.
pub(super) fn push_record(out: &mut Vec<u8>, seed: u64, reference: u64, index: u64) {
    let mut random = Sequence::new(seed, index);
    push(out, "{\"$distinct_id\":\"");
    push_distinct_id(out, seed, index);
    push(out, "\",\"$properties\":{\"$name\":\"");
    push(out, random.pick(&COMPANIES));
    out.push(b' ');
    push_number(out, index + 1);
    push(out, "\",\"industry\":\"");
    push(out, random.pick(&INDUSTRIES));
    push(out, "\",\"$country_code\":\"");
    push(out, random.pick(&COUNTRIES.each_ref()).code);
    push(out, "\",\"employees\":");
    let employees = 1 + random.below(9_000).min(random.below(9_000)).min(random.below(9_000));
    push_number(out, employees);
    push(out, ",\"arr\":");
    push_hundredths(out, employees * (2_000 + random.below(30_000)));
    push(out, ",\"is_customer\":");
    push(out, if random.next().is_multiple_of(3) { "false" } else { "true" });
    push(out, ",\"$last_seen\":\"");
    push_time(out, reference - random.below(400 * 86_400));
    push(out, "\"}}");
}
