//! Formats DuckDB's dates, times and intervals as ISO 8601 text, over DuckDB's whole range.

use std::fmt::Write as _;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i128 = 86_400;

/// Formats a date, given in days since 1970; DuckDB's infinities become `infinity` and `-infinity`.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        days if days == -i32::MAX => "-infinity".to_owned(),
        days => civil(i64::from(days)),
    }
}

/// Formats a timestamp, given in units of 1/`per_second` seconds; `zone` is appended.
pub(super) fn timestamp(value: i64, per_second: i64, zone: &str) -> String {
    match value {
        i64::MAX => return "infinity".to_owned(),
        value if value == -i64::MAX => return "-infinity".to_owned(),
        _ => {}
    }
    let nanos = i128::from(value) * (NANOS_PER_SECOND / i128::from(per_second));
    let day = NANOS_PER_SECOND * SECONDS_PER_DAY;
    let days = i64::try_from(nanos.div_euclid(day)).expect("64 bits of seconds are fewer days");
    format!("{}T{}{zone}", civil(days), clock(nanos.rem_euclid(day)))
}

/// Formats a time of day, given in units of 1/`per_second` seconds. DuckDB's range includes `24:00:00`.
pub(super) fn time(value: i64, per_second: i64) -> String {
    clock(i128::from(value) * (NANOS_PER_SECOND / i128::from(per_second)))
}

/// Formats a time of day with its zone from DuckDB's packed form: microseconds in the upper 40 bits, and in the lower
/// 24 bits the easternmost offset minus the offset, in seconds.
pub(super) fn time_with_zone(packed: u64) -> String {
    const EASTERNMOST_SECONDS: i64 = 16 * 3_600 - 1;
    let micros = i128::from(packed >> 24);
    let west = i64::try_from(packed & 0xff_ffff).expect("24 bits fit");
    let offset = EASTERNMOST_SECONDS - west;
    let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let mut text = format!("{}{sign}{:02}:{:02}", clock(micros * 1_000), size / 3_600, size / 60 % 60);
    if size % 60 != 0 {
        write!(text, ":{:02}", size % 60).expect("a string can be written to");
    }
    text
}

/// Formats an interval as a duration such as `P1Y2M3DT4H5M6.7S`. Its parts may have different signs.
pub(super) fn interval(months: i32, days: i32, nanos: i64) -> String {
    let mut text = String::from("P");
    let part = |text: &mut String, value: i64, unit: char| {
        if value != 0 {
            write!(text, "{value}{unit}").expect("a string can be written to");
        }
    };
    part(&mut text, i64::from(months / 12), 'Y');
    part(&mut text, i64::from(months % 12), 'M');
    part(&mut text, i64::from(days), 'D');
    if nanos != 0 {
        let second = 1_000_000_000;
        text.push('T');
        part(&mut text, nanos / (3_600 * second), 'H');
        part(&mut text, nanos / (60 * second) % 60, 'M');
        let rest = nanos % (60 * second);
        if rest != 0 {
            let sign = if rest < 0 { "-" } else { "" };
            let fraction = fraction(i128::from((rest % second).abs()));
            write!(text, "{sign}{}{fraction}S", (rest / second).abs()).expect("a string can be written to");
        }
    }
    if text == "P" {
        text.push_str("T0S");
    }
    text
}

/// Formats days since 1970 as a date in the proleptic Gregorian calendar. Counts in 400-year eras that begin in March,
/// so that the leap day comes last. Years outside 0 to 9999 get a sign, as ISO 8601 requires.
fn civil(days: i64) -> String {
    const DAYS_PER_ERA: i64 = 146_097;
    const DAYS_FROM_YEAR_0: i64 = 719_468;
    let shifted = days + DAYS_FROM_YEAR_0;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if (0..=9_999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+07}-{month:02}-{day:02}")
    }
}

fn clock(nanos: i128) -> String {
    let (seconds, rest) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    format!("{:02}:{:02}:{:02}{}", seconds / 3_600, seconds / 60 % 60, seconds % 60, fraction(rest))
}

/// Formats a fraction of a second with six digits, nine if six are not enough, and none if it is zero.
fn fraction(nanos: i128) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_timestamps() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(-719_528), "0000-01-01");
        assert_eq!(date(-719_529), "-000001-12-31");
        assert_eq!(date(2_932_897), "+010000-01-01");
        assert_eq!(timestamp(-1, 1_000_000, "Z"), "1969-12-31T23:59:59.999999Z");
        assert_eq!(timestamp(1_700_000_000, 1, ""), "2023-11-14T22:13:20");
        assert_eq!(timestamp(1_700_000_000_123, 1_000, ""), "2023-11-14T22:13:20.123000");
        assert_eq!(timestamp(1, 1_000_000_000, ""), "1970-01-01T00:00:00.000000001");
        assert_eq!(timestamp(i64::MAX, 1_000_000, "Z"), "infinity");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let jiff_epoch = jiff::civil::date(1970, 1, 1);
        for days in (-700_000..2_900_000).step_by(97) {
            let expected = jiff_epoch.checked_add(jiff::Span::new().days(days)).unwrap();
            assert_eq!(date(days), expected.to_string());
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(interval(0, 0, 0), "PT0S");
        assert_eq!(interval(14, 3, 14_706_700_000_000), "P1Y2M3DT4H5M6.700000S");
        assert_eq!(interval(-1, 0, -500_000_000), "P-1MT-0.500000S");
        assert_eq!(interval(0, -2, 0), "P-2D");
    }
}
