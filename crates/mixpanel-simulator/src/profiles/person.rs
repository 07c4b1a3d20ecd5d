//! Generates user profiles of about 1 KB of JSON, each a pure function of the seed and the profile's index.

use super::tables::{BIOS, BY_PERCENT, CAMPAIGNS, COUNTRIES, Country, DEVICES, DOMAINS, Name, REFERRERS, TAGS};
use super::write::{push, push_date, push_hex, push_hundredths, push_number, push_time, push_two};
use crate::hash::{Sequence, mix, mix2};

/// The period of signups before the reference time, in days: three years.
pub(crate) const SIGNUP_DAYS: u64 = 1_096;
/// The offset of account numbers from profile indices, chosen so that no account number fits into the 53-bit mantissa
/// of a float.
const FIRST_ACCOUNT: u64 = (1 << 53) + 1;
/// The random numbers that a profile draws before its plan: the country, two names, the email's number and domain.
const DRAWS_BEFORE_LIFE: u64 = 5;
/// Those before its city: the seven of [`Life::draw`], two for the revenue, and two more.
const DRAWS_BEFORE_CITY: u64 = DRAWS_BEFORE_LIFE + 7 + 4;

/// The characteristics of a subscription plan, which give queries over generated data meaningful results.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// How often users are active, in 65,536ths of all days.
    pub(crate) activity: u64,
    /// Revenue in cents: the minimum, and the range above it.
    revenue: (u64, u64),
    sessions: u64,
    pub(crate) paying_percent: u64,
}

static FREE: Plan = Plan { name: "free", activity: 3_900, revenue: (0, 900), sessions: 60, paying_percent: 0 };
static STARTER: Plan =
    Plan { name: "starter", activity: 9_200, revenue: (1_900, 40_000), sessions: 240, paying_percent: 92 };
static GROWTH: Plan =
    Plan { name: "growth", activity: 17_000, revenue: (29_900, 390_000), sessions: 900, paying_percent: 96 };
static ENTERPRISE: Plan =
    Plan { name: "enterprise", activity: 29_500, revenue: (499_900, 11_500_000), sessions: 3_000, paying_percent: 100 };

/// The plan and the times of a user, in seconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) plan: &'static Plan,
    pub(crate) created: u64,
    pub(crate) seen: u64,
}

impl Life {
    /// Returns the life of the user at an index, as the profile has it, without writing the profile.
    pub(crate) fn of(seed: u64, reference: u64, index: u64) -> Self {
        let mut random = Sequence::new(seed, index);
        random.skip(DRAWS_BEFORE_LIFE);
        Self::draw(&mut random, reference)
    }

    fn draw(random: &mut Sequence, reference: u64) -> Self {
        let plan = match random.next() % 100 {
            0..=57 => &FREE,
            58..=79 => &STARTER,
            80..=93 => &GROWTH,
            _ => &ENTERPRISE,
        };
        // The smaller of two draws, because a growing product has more recent signups.
        let days_ago = random.below(SIGNUP_DAYS).min(random.below(SIGNUP_DAYS));
        let created = reference - days_ago * 86_400 - random.below(43_200);
        // The smallest of three draws, because most users were active recently and some left soon after signing up.
        let alive = reference - created;
        let seen = reference - random.below(alive).min(random.below(alive)).min(random.below(alive));
        Self { plan, created, seen }
    }
}

/// Returns the country code and the city of a user, as the profile has them.
pub(crate) fn home(seed: u64, index: u64) -> (&'static str, &'static str) {
    let mut random = Sequence::new(seed, index);
    let country = country(&mut random);
    random.skip(DRAWS_BEFORE_CITY - 1);
    (country.code, random.pick(country.cities).0)
}

/// Returns whether a user is known by a device ID only.
pub(crate) fn is_anonymous(seed: u64, index: u64) -> bool {
    mix(index ^ mix(seed)).is_multiple_of(20)
}

fn country(random: &mut Sequence) -> &'static Country {
    let percent = (random.next() % 100) as usize;
    &COUNTRIES[usize::from(BY_PERCENT[percent])]
}

/// Writes the distinct ID of a profile, without quotes: usually a UUID, sometimes a readable ID or an anonymous device
/// ID.
pub(crate) fn push_distinct_id(out: &mut Vec<u8>, seed: u64, index: u64) {
    // A bijection of the index, so that no two profiles of a population share an ID.
    let unique = mix(index ^ mix(seed));
    match unique % 20 {
        0 => push(out, "$device:"),
        1..=4 => {
            push(out, "user-");
            push_number(out, 100_000 + index);
            return;
        }
        _ => {}
    }
    let rest = mix2(seed, unique);
    for (number, digits) in [(unique >> 32, 8), (unique >> 16, 4), (unique, 4), (rest >> 48, 4), (rest, 12)] {
        push_hex(out, number, digits);
        if digits != 12 {
            out.push(b'-');
        }
    }
}

/// Writes a complete record in the format of the Engage API. No time in it is after `reference`, in seconds since the
/// epoch.
pub(super) fn push_record(out: &mut Vec<u8>, seed: u64, reference: u64, index: u64) {
    let mut random = Sequence::new(seed, index);
    let country = country(&mut random);
    push(out, "{\"$distinct_id\":\"");
    push_distinct_id(out, seed, index);
    push(out, "\",\"$properties\":{");
    push_identity(out, &mut random, country);
    push_times_and_plan(out, &mut random, reference);
    push_address(out, &mut random, country);
    push_optional(out, &mut random, reference);
    push(out, ",\"account_number\":");
    push_number(out, FIRST_ACCOUNT + 2 * index);
    push(out, "}}");
}

fn push_identity(out: &mut Vec<u8>, random: &mut Sequence, country: &Country) {
    let first: Name = random.pick(country.first);
    let last: Name = random.pick(country.last);
    let bits = random.next();
    push(out, "\"$email\":\"");
    push(out, first.1);
    out.push(b'.');
    push(out, last.1);
    push_number(out, bits % 9_000);
    out.push(b'@');
    push(out, random.pick(&DOMAINS));
    push(out, "\",\"$first_name\":\"");
    push(out, first.0);
    push(out, "\",\"$last_name\":\"");
    push(out, last.0);
    push(out, "\",\"$name\":\"");
    push(out, first.0);
    out.push(b' ');
    push(out, last.0);
    push(out, "\",\"$country_code\":\"");
    push(out, country.code);
    push(out, "\",\"$timezone\":\"");
    push(out, country.timezone);
    push(out, "\",\"locale\":\"");
    push(out, country.locale);
    out.push(b'"');
}

fn push_times_and_plan(out: &mut Vec<u8>, random: &mut Sequence, reference: u64) {
    let Life { plan, created, seen } = Life::draw(random, reference);
    let alive = reference - created;
    push(out, ",\"$created\":\"");
    push_time(out, created);
    push(out, "\",\"$last_seen\":\"");
    push_time(out, seen);
    push(out, "\",\"signup_date\":\"");
    push_date(out, created / 86_400);
    push(out, "\",\"plan\":\"");
    push(out, plan.name);
    push(out, "\",\"ltv\":");
    let (least, spread) = plan.revenue;
    let draw = random.below(1_000_000).min(random.below(1_000_000));
    push_hundredths(out, least + spread * draw / 1_000_000);
    push(out, ",\"sessions\":");
    push_number(out, 1 + random.below(plan.sessions) * (alive / 86_400 + 30) / (SIGNUP_DAYS + 30));
    let bits = random.next();
    push(out, if bits % 100 < plan.paying_percent { ",\"is_paying\":true" } else { ",\"is_paying\":false" });
    match (bits >> 32) % 4 {
        0 => push(out, ",\"trial_ends\":null"),
        1 => {
            push(out, ",\"trial_ends\":\"");
            push_date(out, created / 86_400 + 14);
            out.push(b'"');
        }
        _ => {}
    }
}

fn push_address(out: &mut Vec<u8>, random: &mut Sequence, country: &Country) {
    let city = random.pick(country.cities);
    let street = random.pick(country.streets);
    let bits = random.next();
    push(out, ",\"$city\":\"");
    push(out, city.0);
    push(out, "\",\"address\":{\"street\":\"");
    push(out, street);
    out.push(b' ');
    push_number(out, 1 + bits % 180);
    push(out, "\",\"city\":\"");
    push(out, city.0);
    push(out, "\",\"country\":\"");
    push(out, country.code);
    push(
        out,
        if bits >> 63 == 0 {
            "\",\"verified\":true,\"postal_code\":\""
        } else {
            "\",\"verified\":false,\"postal_code\":\""
        },
    );
    push_number(out, 10_000 + (bits >> 16) % 89_999);
    push(out, "\",\"geo\":{\"lat\":");
    push(out, city.1);
    push_two(out, bits >> 32);
    push(out, ",\"lon\":");
    push(out, city.2);
    push_two(out, bits >> 40);
    push(out, "}}");
}

fn push_optional(out: &mut Vec<u8>, random: &mut Sequence, reference: u64) {
    let bits = random.next();
    if bits.is_multiple_of(3) {
        push(out, ",\"referrer\":null");
    } else {
        push(out, ",\"referrer\":\"");
        push(out, random.pick(&REFERRERS));
        out.push(b'"');
    }
    push_tags(out, random, (bits >> 8) % 4);
    push_devices(out, random, reference / 86_400, 1 + (bits >> 16) % 3);
    push(out, ",\"app_version\":\"");
    push_number(out, 3 + (bits >> 24) % 3);
    out.push(b'.');
    push_number(out, (bits >> 28) % 15);
    push(out, ".0\"");
    if (bits >> 32) % 5 < 2 {
        push(out, ",\"nps\":");
        push_number(out, (bits >> 36) % 11);
    }
    if (bits >> 40).is_multiple_of(2) {
        let campaign = random.pick(&CAMPAIGNS);
        push(out, ",\"last_campaign\":{\"source\":\"");
        push(out, campaign.0);
        push(out, "\",\"medium\":\"");
        push(out, campaign.1);
        push(out, "\",\"name\":\"");
        push(out, campaign.2);
        push(out, "\",\"clicks\":");
        push_number(out, (bits >> 44) % 40);
        out.push(b'}');
    }
    if (bits >> 52).is_multiple_of(4) {
        push(out, ",\"bio\":\"");
        push(out, random.pick(&BIOS));
        out.push(b'"');
    }
}

fn push_devices(out: &mut Vec<u8>, random: &mut Sequence, today: u64, count: u64) {
    push(out, ",\"devices\":[");
    for number in 0..count {
        let device = random.pick(&DEVICES);
        push(out, if number == 0 { "{\"type\":\"" } else { ",{\"type\":\"" });
        push(out, device.0);
        push(out, "\",\"model\":\"");
        push(out, device.1);
        push(out, "\",\"os\":\"");
        push(out, device.2);
        let marks = random.next();
        push(out, "\",\"id\":\"");
        push_hex(out, marks, 8);
        push(out, "\",\"last_used\":\"");
        push_date(out, today - (marks >> 32) % 200);
        push(out, "\"}");
    }
    out.push(b']');
}

fn push_tags(out: &mut Vec<u8>, random: &mut Sequence, count: u64) {
    push(out, ",\"tags\":[");
    let first = random.below(TAGS.len() as u64);
    for number in 0..count {
        // Steps of three through ten tags do not repeat a tag within four steps.
        let index = usize::try_from((first + 3 * number) % TAGS.len() as u64).expect("an index into a small table");
        push(out, if number == 0 { "\"" } else { ",\"" });
        push(out, TAGS[index]);
        out.push(b'"');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_life_and_home_of_a_user_are_those_of_the_profile() {
        for index in 0..2_000 {
            let mut record = Vec::new();
            push_record(&mut record, 7, 1_789_905_600, index);
            let record: Value = serde_json::from_slice(&record).expect("JSON");
            let (properties, life) = (&record["$properties"], Life::of(7, 1_789_905_600, index));
            for (name, seconds) in [("$created", life.created), ("$last_seen", life.seen)] {
                let mut time = Vec::new();
                push_time(&mut time, seconds);
                assert_eq!(properties[name].as_str().map(str::as_bytes), Some(&time[..]), "{name} of {index}");
            }
            let (country, city) = home(7, index);
            assert_eq!(properties["plan"], life.plan.name);
            assert_eq!((&properties["$country_code"], &properties["$city"]), (&country.into(), &city.into()));
            let id = record["$distinct_id"].as_str().expect("a text");
            assert_eq!(id.starts_with("$device:"), is_anonymous(7, index));
        }
    }
}
