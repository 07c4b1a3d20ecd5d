//! Days, weekdays, times of day and time zones.
//!
//! A day is a number: days since 1970-01-01. A wall time is what the clocks of the project show, in milliseconds since
//! 1970-01-01T00:00:00 on those clocks. In UTC it is the time since the epoch.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(super) const DAY_MS: u64 = 86_400_000;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Returns the number of a date; negative before 1970.
pub(crate) fn day_of(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

/// Returns the date of a day.
pub(crate) fn date_of(day: u64) -> Date {
    let time = Timestamp::from_second(i64::try_from(day.saturating_mul(86_400)).unwrap_or(i64::MAX));
    time.map_or(Date::MAX, |time| TimeZone::UTC.to_datetime(time).date())
}

/// Returns the activity on a day of the week in 256ths of that of the busiest one.
pub(super) fn weekday_factor(day: u64) -> u64 {
    const FROM_MONDAY: [u64; 7] = [236, 250, 256, 248, 214, 112, 96];
    // 1970-01-01 was a Thursday.
    FROM_MONDAY[((day + 3) % 7) as usize]
}

/// Returns a time of day in milliseconds, from a random number. Most are in the working hours and the evening.
pub(super) fn time_of_day(random: u64) -> u64 {
    /// The activity in each hour, in 256ths of the whole day.
    const HOURS: [u8; 24] = [3, 2, 1, 1, 2, 3, 6, 10, 15, 16, 15, 14, 14, 13, 13, 13, 13, 14, 15, 17, 18, 17, 13, 8];
    static BY_256TH: [u8; 256] = spread(HOURS);
    let hour = u64::from(BY_256TH[(random & 255) as usize]);
    hour * 3_600_000 + crate::hash::below(random, 3_600_000)
}

const fn spread(hours: [u8; 24]) -> [u8; 256] {
    let mut table = [23; 256];
    let (mut hour, mut filled) = (0_u8, 0);
    while (hour as usize) < hours.len() {
        let mut left = hours[hour as usize];
        while left > 0 && filled < table.len() {
            table[filled] = hour;
            filled += 1;
            left -= 1;
        }
        hour += 1;
    }
    table
}

/// Returns the wall time of a time since the epoch, in milliseconds.
pub(super) fn to_wall(zone: &TimeZone, utc_ms: u64) -> u64 {
    let Ok(time) = Timestamp::from_millisecond(i64::try_from(utc_ms).unwrap_or(i64::MAX)) else { return utc_ms };
    utc_ms.saturating_add_signed(i64::from(zone.to_offset(time).seconds()) * 1_000)
}

/// Returns the time since the epoch of a wall time. A time that occurs twice is the first of them; one that is skipped is
/// as much later as the clocks are set forward.
pub(super) fn to_utc(zone: &TimeZone, wall_ms: u64) -> u64 {
    if *zone == TimeZone::UTC {
        return wall_ms;
    }
    let wall = Timestamp::from_millisecond(i64::try_from(wall_ms).unwrap_or(i64::MAX));
    let wall = wall.map(|wall| TimeZone::UTC.to_datetime(wall));
    let utc = wall.and_then(|wall| zone.to_ambiguous_timestamp(wall).compatible());
    utc.ok().and_then(|utc| u64::try_from(utc.as_millisecond()).ok()).unwrap_or(wall_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_convert_to_each_other() {
        for (date, day) in [("1970-01-01", 0), ("1969-12-31", -1), ("2000-02-29", 11_016), ("2026-09-20", 20_716)] {
            let date: Date = date.parse().expect("a date");
            assert_eq!(day_of(date), day);
            if let Ok(day) = u64::try_from(day) {
                assert_eq!(date_of(day), date);
            }
        }
        // A Wednesday and a Sunday.
        assert_eq!((weekday_factor(20_712), weekday_factor(20_716)), (256, 96));
    }

    #[test]
    fn wall_times_follow_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let ms =
            |text: &str| u64::try_from(text.parse::<Timestamp>().expect("a time").as_millisecond()).expect("later");
        for (wall, utc) in [
            ("2026-01-15T12:00:00Z", "2026-01-15T11:00:00Z"),
            ("2026-07-15T12:00:00Z", "2026-07-15T10:00:00Z"),
            // Skipped, and occurring twice.
            ("2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
            ("2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(to_utc(&zone, ms(wall)), ms(utc), "{wall}");
        }
        assert_eq!(to_wall(&zone, ms("2026-10-25T00:30:00Z")), ms("2026-10-25T02:30:00Z"));
        assert_eq!(to_wall(&zone, ms("2026-10-25T01:30:00Z")), ms("2026-10-25T02:30:00Z"));
    }

    #[test]
    fn times_of_day_are_within_the_day() {
        let times: Vec<u64> = (0..10_000).map(|number| time_of_day(crate::hash::mix(number))).collect();
        assert!(times.iter().all(|time| *time < DAY_MS));
        let share = |from: u64, to: u64| times.iter().filter(|time| (from..to).contains(&(**time / 3_600_000))).count();
        assert!(share(8, 22) > 7_000 && share(1, 5) < 800, "{} {}", share(8, 22), share(1, 5));
    }
}
