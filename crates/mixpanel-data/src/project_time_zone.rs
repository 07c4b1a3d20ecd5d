//! The time zone of a project, which determines its days.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::printable;

/// The time zone of a project: UTC, or an IANA time zone such as `Europe/Lisbon`.
///
/// The days of a project are days of its time zone. A project from before 2023 also records the time of an event as
/// local time (<https://docs.mixpanel.com/docs/orgs-and-projects/managing-projects>).
///
/// The rules of all time zones are part of the program, so that the same local time gives the same row on every machine.
///
/// ```
/// use mixpanel_data::ProjectTimeZone;
///
/// assert_eq!(ProjectTimeZone::parse("europe/lisbon")?.name(), "Europe/Lisbon");
/// # Ok::<(), mixpanel_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProjectTimeZone {
    name: String,
    /// `None` for UTC.
    zone: Option<TimeZone>,
}

/// How a local time was converted to UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    None,
    /// The local time occurred twice, because clocks were set back; the earlier one is used.
    Repeated,
    /// The local time did not occur, because clocks were set forward; it is moved forward by as much.
    Skipped,
}

impl ProjectTimeZone {
    /// Finds a time zone by its IANA name, in any case; white space around it is ignored. `UTC`, `Etc/UTC` and `Z` are
    /// UTC.
    ///
    /// # Errors
    /// `InvalidInput` if there is none of that name.
    pub fn parse(name: &str) -> Result<Self> {
        let name = name.trim();
        if ["utc", "etc/utc", "z"].contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(Self::utc());
        }
        let found = TimeZoneDatabase::bundled().get(name).ok();
        let named = found.and_then(|zone| Some((zone.iana_name()?.to_owned(), zone)));
        let Some((name, zone)) = named else {
            return Err(Error::invalid(format!(
                "`{}` is not the name of a time zone, such as `Europe/Lisbon` or `UTC`",
                printable(name)
            )));
        };
        Ok(Self { name, zone: Some(zone) })
    }

    /// Returns UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: None }
    }

    /// Returns the IANA name, such as `Europe/Lisbon`, or `UTC`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether this is UTC.
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.zone.is_none()
    }

    /// Returns the project's day at `now`.
    pub(crate) fn today(&self, now: Timestamp) -> Date {
        self.to_local(now).date()
    }

    /// Returns the first instant of a day.
    pub(crate) fn day_start_utc(&self, day: Date) -> Timestamp {
        let start = day.at(0, 0, 0, 0);
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let instant = zone.to_ambiguous_timestamp(start).compatible();
        // Only at the ends of the calendar, years from any event.
        instant.unwrap_or(if day.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// Converts an instant to local time.
    pub(crate) fn to_local(&self, instant: Timestamp) -> DateTime {
        self.zone.as_ref().unwrap_or(&TimeZone::UTC).to_datetime(instant)
    }

    /// Converts a local time, in milliseconds since 1970 as if it were UTC, to UTC. A time that cannot be represented
    /// stays as it is.
    pub(crate) fn local_to_utc(&self, local_ms: i64) -> (i64, Shift) {
        let Some(zone) = &self.zone else { return (local_ms, Shift::None) };
        convert(zone, local_ms).unwrap_or((local_ms, Shift::None))
    }
}

fn convert(zone: &TimeZone, local_ms: i64) -> Option<(i64, Shift)> {
    let local = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(local_ms).ok()?);
    let (offset, shift) = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => (offset, Shift::None),
        AmbiguousOffset::Fold { before, .. } => (before, Shift::Repeated),
        AmbiguousOffset::Gap { before, .. } => (before, Shift::Skipped),
    };
    let offset = SignedDuration::from_secs(i64::from(offset.seconds()));
    Some((local_ms.checked_sub(i64::try_from(offset.as_millis()).ok()?)?, shift))
}

/// Converts many local times, most of which are near the one before.
#[derive(Debug)]
pub(crate) struct LocalTimes {
    zone: ProjectTimeZone,
    /// The hour of the last conversion, and its offset from UTC in milliseconds, if it has a single one.
    hour: Option<(i64, i64)>,
}

const HOUR_MS: i64 = 3_600_000;

impl LocalTimes {
    pub(crate) fn new(zone: ProjectTimeZone) -> Self {
        Self { zone, hour: None }
    }

    /// Returns the same as [`ProjectTimeZone::local_to_utc`].
    pub(crate) fn convert(&mut self, local_ms: i64) -> (i64, Shift) {
        if self.zone.is_utc() {
            return (local_ms, Shift::None);
        }
        let hour = local_ms.div_euclid(HOUR_MS);
        if let Some((known, offset)) = self.hour
            && known == hour
        {
            return (local_ms - offset, Shift::None);
        }
        let (first, last) = (hour * HOUR_MS, hour * HOUR_MS + HOUR_MS - 1);
        let ends = (self.zone.local_to_utc(first), self.zone.local_to_utc(last));
        if let ((start, Shift::None), (end, Shift::None)) = ends
            && end - start == last - first
        {
            self.hour = Some((hour, first - start));
        }
        self.zone.local_to_utc(local_ms)
    }

    pub(crate) fn zone(&self) -> &ProjectTimeZone {
        &self.zone
    }
}

impl Default for ProjectTimeZone {
    fn default() -> Self {
        Self::utc()
    }
}

impl fmt::Display for ProjectTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<ProjectTimeZone> for String {
    fn from(zone: ProjectTimeZone) -> Self {
        zone.name
    }
}

impl TryFrom<String> for ProjectTimeZone {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse(&name)
    }
}

impl std::str::FromStr for ProjectTimeZone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> ProjectTimeZone {
        ProjectTimeZone::parse(name).unwrap()
    }

    fn local(text: &str) -> i64 {
        let time: DateTime = text.parse().unwrap();
        TimeZone::UTC.to_timestamp(time).unwrap().as_millisecond()
    }

    fn text(utc_ms: i64) -> String {
        Timestamp::from_millisecond(utc_ms).unwrap().to_string()
    }

    #[test]
    fn names_are_found_in_any_case_and_kept_as_text() {
        for (name, expected) in [
            ("UTC", Some("UTC")),
            ("utc", Some("UTC")),
            ("Etc/UTC", Some("UTC")),
            ("europe/lisbon", Some("Europe/Lisbon")),
            (" America/New_York ", Some("America/New_York")),
            ("Asia/Kathmandu", Some("Asia/Kathmandu")),
            ("", None),
            ("Lisbon", None),
            ("+02:00", None),
            ("Europe/Lisbon\n", Some("Europe/Lisbon")),
            ("../etc/passwd", None),
        ] {
            let found = ProjectTimeZone::parse(name);
            assert_eq!(found.as_ref().ok().map(ProjectTimeZone::name), expected, "{name:?}");
            if let Ok(found) = found {
                let json = serde_json::to_string(&found).unwrap();
                assert_eq!(json, format!("\"{}\"", found.name()));
                assert_eq!(serde_json::from_str::<ProjectTimeZone>(&json).unwrap(), found);
            }
        }
        let error = ProjectTimeZone::parse("Mars/\u{1b}[31m").unwrap_err();
        assert!(error.message().contains("such as `Europe/Lisbon`"), "{error}");
        assert!(serde_json::from_str::<ProjectTimeZone>("\"Mars\"").is_err());
    }

    #[test]
    fn local_times_are_never_dropped_when_clocks_change() {
        for (name, time, expected, shift) in [
            ("UTC", "2025-03-30T02:30:00", "2025-03-30T02:30:00Z", Shift::None),
            ("Europe/Berlin", "2025-01-15T12:00:00.123", "2025-01-15T11:00:00.123Z", Shift::None),
            ("Europe/Berlin", "2025-03-30T01:59:59.999", "2025-03-30T00:59:59.999Z", Shift::None),
            ("Europe/Berlin", "2025-03-30T02:00:00", "2025-03-30T01:00:00Z", Shift::Skipped),
            ("Europe/Berlin", "2025-03-30T02:30:00", "2025-03-30T01:30:00Z", Shift::Skipped),
            ("Europe/Berlin", "2025-03-30T03:00:00", "2025-03-30T01:00:00Z", Shift::None),
            ("Europe/Berlin", "2025-10-26T01:59:59.999", "2025-10-25T23:59:59.999Z", Shift::None),
            ("Europe/Berlin", "2025-10-26T02:30:00", "2025-10-26T00:30:00Z", Shift::Repeated),
            ("Europe/Berlin", "2025-10-26T03:00:00", "2025-10-26T02:00:00Z", Shift::None),
            ("America/New_York", "2025-03-09T02:15:00", "2025-03-09T07:15:00Z", Shift::Skipped),
            ("Australia/Lord_Howe", "2025-10-05T02:15:00", "2025-10-04T15:45:00Z", Shift::Skipped),
            ("Asia/Kathmandu", "2025-10-05T02:15:00", "2025-10-04T20:30:00Z", Shift::None),
            ("America/Havana", "2025-03-09T00:30:00", "2025-03-09T05:30:00Z", Shift::Skipped),
        ] {
            let (utc, found) = zone(name).local_to_utc(local(time));
            assert_eq!((text(utc).as_str(), found), (expected, shift), "{name} {time}");
        }
        for local_ms in [i64::MIN, i64::MAX, -400_000_000_000_000] {
            assert_eq!(zone("Europe/Berlin").local_to_utc(local_ms), (local_ms, Shift::None));
        }
    }

    #[test]
    fn a_day_begins_when_its_local_date_does() {
        for (name, day, expected) in [
            ("UTC", date(2025, 3, 30), "2025-03-30T00:00:00Z"),
            ("Europe/Berlin", date(2025, 3, 30), "2025-03-29T23:00:00Z"),
            ("Europe/Berlin", date(2025, 3, 31), "2025-03-30T22:00:00Z"),
            ("America/Los_Angeles", date(2025, 7, 1), "2025-07-01T07:00:00Z"),
            // Midnight does not exist.
            ("America/Havana", date(2025, 3, 9), "2025-03-09T05:00:00Z"),
            ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00:00Z"),
        ] {
            let zone = zone(name);
            let start = zone.day_start_utc(day);
            assert_eq!(start.to_string(), expected, "{name}");
            assert_eq!(zone.today(start), day, "{name}");
            let before = start.checked_sub(SignedDuration::from_millis(1)).unwrap();
            assert_eq!(zone.today(before), day.yesterday().unwrap(), "{name}");
        }
        for end in [Date::MIN, Date::MAX] {
            zone("Asia/Tokyo").day_start_utc(end);
            zone("America/Los_Angeles").day_start_utc(end);
        }
    }

    proptest! {
        #[test]
        fn the_fast_conversion_agrees_with_the_slow_one(
            start in 0_i64..2_000_000_000_000,
            steps in proptest::collection::vec(-5_000_000_i64..5_000_000, 1..60),
            name in proptest::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata", "Africa/Casablanca"]),
        ) {
            let zone = zone(name);
            let mut fast = LocalTimes::new(zone.clone());
            let mut at = start;
            for step in steps {
                at += step;
                prop_assert_eq!(fast.convert(at), zone.local_to_utc(at));
                // A day's rows lie between its start and the next one's.
                let day = jiff::tz::TimeZone::UTC.to_datetime(Timestamp::from_millisecond(at).unwrap()).date();
                let utc = fast.convert(at).0;
                prop_assert!(zone.day_start_utc(day).as_millisecond() <= utc);
                prop_assert!(utc < zone.day_start_utc(day.tomorrow().unwrap()).as_millisecond());
            }
        }
    }
}
