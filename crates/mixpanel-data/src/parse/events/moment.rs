//! Converts the time of an event to UTC and to the project's day.

use std::ops::RangeInclusive;

use jiff::civil::{Date, date};

use crate::parse::last_seen::as_if_utc;
use crate::project_time_zone::{LocalTimes, ProjectTimeZone, Shift};
use crate::slice::Slice;

use super::time::{RANGE_MS, Received, is_in_seconds, parse};

/// The time of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// In microseconds since 1970, in UTC.
    pub(super) micros: i64,
    /// The project's day, counted from 1970.
    pub(super) day: i32,
    pub(super) shift: Shift,
    /// Whether it was in seconds, although milliseconds were requested.
    pub(super) is_in_seconds: bool,
}

/// Converts the times of one slice.
#[derive(Debug)]
pub(super) struct Moments {
    /// The days of the slice, counted from 1970.
    days: RangeInclusive<i32>,
    local: LocalTimes,
}

pub(super) const DAY_MS: i64 = 86_400_000;

/// How many days outside the slice a time in milliseconds may be before it is read as seconds.
const DAYS_NEAR: i64 = 2;

const UNIX_EPOCH: Date = date(1970, 1, 1);

fn day_number(day: Date) -> i32 {
    day.since(UNIX_EPOCH).map_or(0, |span| span.get_days())
}

/// Returns the date of a day that is counted from 1970.
pub(super) fn date_of(day: i32) -> Option<Date> {
    UNIX_EPOCH.checked_add(jiff::Span::new().days(day)).ok()
}

fn in_range(micros: i64) -> bool {
    RANGE_MS.contains(&micros.div_euclid(1_000))
}

fn day_of(local_micros: i64) -> Option<i32> {
    i32::try_from(local_micros.div_euclid(1_000 * DAY_MS)).ok()
}

fn out_of_range() -> String {
    "`time` is outside the years 1 to 9999".to_owned()
}

impl Moments {
    pub(super) fn new(slice: &Slice, zone: ProjectTimeZone) -> Self {
        Self { days: day_number(slice.from)..=day_number(slice.to), local: LocalTimes::new(zone) }
    }

    /// Returns whether a day belongs to the slice.
    pub(super) fn contains(&self, day: i32) -> bool {
        self.days.contains(&day)
    }

    /// Converts a time, given as JSON.
    ///
    /// # Errors
    /// Why it cannot be stored.
    pub(super) fn convert(&mut self, raw: &str) -> Result<Moment, String> {
        match parse(raw).ok_or("`time` is not a time")? {
            Received::Number(number) => {
                let is_in_seconds = self.is_in_seconds(number);
                let ms = if is_in_seconds { number * 1_000 } else { number };
                if !RANGE_MS.contains(&ms) {
                    return Err(out_of_range());
                }
                Ok(Moment { is_in_seconds, ..self.of_local(ms * 1_000)? })
            }
            Received::Fraction(ms) if self.is_in_seconds(ms / 1_000) => {
                Ok(Moment { is_in_seconds: true, ..self.of_local(ms * 1_000)? })
            }
            Received::Fraction(_) => Err("`time` is not in whole milliseconds".to_owned()),
            Received::Local(micros) => self.of_local(micros),
            Received::Instant(micros) => {
                let instant = jiff::Timestamp::from_microsecond(micros).map_err(|_| out_of_range())?;
                let wall = as_if_utc(self.local.zone().to_local(instant)).ok_or_else(out_of_range)?;
                let day = day_of(wall).filter(|_| in_range(micros)).ok_or_else(out_of_range)?;
                Ok(Moment { micros, day, shift: Shift::None, is_in_seconds: false })
            }
        }
    }

    fn is_in_seconds(&self, number: i64) -> bool {
        let (from, to) = (i64::from(*self.days.start()), i64::from(*self.days.end()));
        let near = (from - DAYS_NEAR)..=(to + DAYS_NEAR);
        is_in_seconds(number, |ms| near.contains(&ms.div_euclid(DAY_MS)))
    }

    /// Converts a local time, in microseconds since 1970 as if it were UTC.
    fn of_local(&mut self, local: i64) -> Result<Moment, String> {
        let day = day_of(local).filter(|_| in_range(local)).ok_or_else(out_of_range)?;
        let (utc_ms, shift) = self.local.convert(local.div_euclid(1_000));
        let micros = utc_ms * 1_000 + local.rem_euclid(1_000);
        Ok(Moment { micros, day, shift, is_in_seconds: false })
    }
}
