//! Writes JSON values directly into a byte buffer, without `std::fmt` on the hot path.

use std::io::Write as _;

pub(crate) fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes the last two digits of a number.
pub(crate) fn push_two(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

/// Writes hundredths as a decimal number with one or two decimals, like Python's `json`.
pub(crate) fn push_hundredths(out: &mut Vec<u8>, hundredths: u64) {
    push_number(out, hundredths / 100);
    out.push(b'.');
    let rest = hundredths % 100;
    out.push(b'0' + (rest / 10) as u8);
    if !rest.is_multiple_of(10) {
        out.push(b'0' + (rest % 10) as u8);
    }
}

pub(crate) fn push_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[((number >> (place * 4)) & 15) as usize]);
    }
}

/// Writes a day as `YYYY-MM-DD`. Days count from 1970-01-01.
pub(crate) fn push_date(out: &mut Vec<u8>, days: u64) {
    // In years that start in March, the leap day is the last day, so the months follow one linear formula.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    push_two(out, year / 100);
    push_two(out, year);
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
}

/// Writes seconds since the epoch as `YYYY-MM-DDTHH:MM:SS`.
pub(crate) fn push_time(out: &mut Vec<u8>, seconds: u64) {
    push_date(out, seconds / 86_400);
    let rest = seconds % 86_400;
    out.push(b'T');
    push_two(out, rest / 3_600);
    out.push(b':');
    push_two(out, rest / 60 % 60);
    out.push(b':');
    push_two(out, rest % 60);
}

/// Writes text as a JSON string, including the quotes.
pub(crate) fn push_json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => push(out, "\\\""),
            '\\' => push(out, "\\\\"),
            '\n' => push(out, "\\n"),
            control if u32::from(control) < 0x20 => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("a vector takes every write");
            }
            other => push(out, other.encode_utf8(&mut [0; 4])),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let table = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_789_905_600, "2026-09-20T12:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ];
        for (seconds, text) in table {
            assert_eq!(written(|out| push_time(out, seconds)), text);
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        assert_eq!(written(|out| push_number(out, 0)), "0");
        assert_eq!(written(|out| push_number(out, u64::MAX)), "18446744073709551615");
        assert_eq!(written(|out| push_hundredths(out, 12_550)), "125.5");
        assert_eq!(written(|out| push_hundredths(out, 7)), "0.07");
        assert_eq!(written(|out| push_hundredths(out, 500)), "5.0");
        assert_eq!(written(|out| push_hex(out, 0xBEEF, 6)), "00beef");
    }

    #[test]
    fn json_text_round_trips() {
        let text = "a\"b\\c\nd\u{1}e\u{2028}\u{1F680}";
        let json = written(|out| push_json_text(out, text));
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
    }
}
