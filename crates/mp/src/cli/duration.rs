//! Parses durations: `400ms`, `30s`, `10m`, `24h`, `2d`; 0 needs no unit.

use std::time::Duration;

const FORM: &str = "expected a whole number and ms, s, m, h or d, such as 400ms, 30s or 10m";

/// Reads a length of time.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(FORM.to_owned()),
    };
    if number.is_empty() {
        return Err(FORM.to_owned());
    }
    let milliseconds = number.parse().ok().and_then(|number: u64| number.checked_mul(milliseconds));
    milliseconds.map(Duration::from_millis).ok_or_else(|| "this is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_unit() {
        let table = [
            ("400ms", Ok(400)),
            ("0s", Ok(0)),
            ("0", Ok(0)),
            ("00", Err(FORM)),
            ("30s", Ok(30_000)),
            ("10m", Ok(600_000)),
            ("24h", Ok(86_400_000)),
            ("2d", Ok(172_800_000)),
            ("", Err(FORM)),
            ("30", Err(FORM)),
            ("s", Err(FORM)),
            ("-1s", Err(FORM)),
            ("+1s", Err(FORM)),
            ("1.5h", Err(FORM)),
            ("1 h", Err(FORM)),
            ("1H", Err(FORM)),
            ("1h30m", Err(FORM)),
            ("99999999999999999999s", Err("this is too long")),
            ("9999999999999999d", Err("this is too long")),
        ];
        for (text, expected) in table {
            let expected = expected.map(Duration::from_millis).map_err(str::to_owned);
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
