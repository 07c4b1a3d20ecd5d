//! The kinds of property values, and the column type that fits a set of kinds.

/// The kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    /// An integer that a 64-bit float represents exactly.
    Integer,
    /// Any other 64-bit integer.
    LongInteger,
    /// A number with a fraction or an exponent.
    Number,
    /// A number beyond 64 bits: an integer, or one that overflows a float.
    LargeNumber,
    /// Text of the form `YYYY-MM-DD`.
    Date,
    /// Text of the form `YYYY-MM-DDTHH:MM:SS`, see [`of_text`].
    Timestamp,
    Text,
    List,
    Object,
}

/// The number of kinds.
pub(crate) const KINDS: usize = 11;

impl Kind {
    /// All kinds, in the order of their counts.
    pub(crate) const ALL: [Self; KINDS] = [
        Self::Null,
        Self::Boolean,
        Self::Integer,
        Self::LongInteger,
        Self::Number,
        Self::LargeNumber,
        Self::Date,
        Self::Timestamp,
        Self::Text,
        Self::List,
        Self::Object,
    ];

    /// Returns the name in the table `_properties` and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::LongInteger => "long_integer",
            Self::Number => "number",
            Self::LargeNumber => "large_number",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text => "string",
            Self::List => "array",
            Self::Object => "object",
        }
    }
}

/// The largest integer such that all integers up to it are exact as 64-bit floats.
pub(super) const EXACT_MAX: i64 = 1 << 53;

/// Returns the narrowest column type that fits every value of these kinds without loss; null fits all of them.
///
/// DOUBLE also holds integers, unless one of them is too long to be exact. A fraction is rounded to the nearest 64-bit
/// float, as DuckDB's JSON functions do. Every other mixture is VARCHAR.
pub(crate) fn column_type(has: impl Fn(Kind) -> bool) -> &'static str {
    use Kind::{Boolean, Date, Integer, List, LongInteger, Null, Number, Object, Timestamp};
    let only = |kinds: &[Kind]| Kind::ALL.into_iter().all(|kind| kind == Null || kinds.contains(&kind) || !has(kind));
    if Kind::ALL.into_iter().all(|kind| kind == Null || !has(kind)) {
        return "VARCHAR";
    }
    let fits: [(&str, &[Kind]); 6] = [
        ("BOOLEAN", &[Boolean]),
        ("BIGINT", &[Integer, LongInteger]),
        ("DOUBLE", &[Integer, Number]),
        ("DATE", &[Date]),
        ("TIMESTAMP", &[Timestamp]),
        ("JSON", &[List, Object]),
    ];
    fits.into_iter().find(|(_, kinds)| only(kinds)).map_or("VARCHAR", |(name, _)| name)
}

/// Returns the kind of a text.
///
/// A date is `YYYY-MM-DD`; a timestamp is a date, `T` or a space, and `HH:MM:SS`, with up to six decimals and `Z` if
/// given. DuckDB reads all of these without loss. A timestamp with a UTC offset is text, because TIMESTAMP would drop
/// the offset.
pub(super) fn of_text(text: &[u8]) -> Kind {
    const LENGTHS: std::ops::RangeInclusive<usize> = 10..=27;
    if !LENGTHS.contains(&text.len()) || text[4] != b'-' || text[7] != b'-' || !is_date(text) {
        return Kind::Text;
    }
    match &text[10..] {
        [] => Kind::Date,
        [b'T' | b' ', time @ ..] if is_time(time) => Kind::Timestamp,
        _ => Kind::Text,
    }
}

/// Returns whether the text begins with an existing date.
fn is_date(text: &[u8]) -> bool {
    let (Some(year), Some(month), Some(day)) = (number(&text[..4]), number(&text[5..7]), number(&text[8..10])) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// Returns whether the text is `HH:MM:SS`, possibly with decimals and `Z`.
fn is_time(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let [hour @ .., b':', m1, m2, b':', s1, s2] = text.get(..8).unwrap_or_default() else { return false };
    let below = |digits: &[u8], limit: u32| number(digits).is_some_and(|number| number < limit);
    let decimals = match &text[8..] {
        [] => true,
        [b'.', decimals @ ..] => (1..=6).contains(&decimals.len()) && decimals.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    below(hour, 24) && below(&[*m1, *m2], 60) && below(&[*s1, *s2], 60) && decimals
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(*byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_timestamps_are_recognized() {
        for (kind, texts) in [
            (Kind::Date, &["2024-01-31", "2024-02-29", "0001-01-01", "9999-12-31", "2000-02-29"][..]),
            (
                Kind::Timestamp,
                &[
                    "2024-01-01T00:00:00",
                    "2024-01-01 23:59:59",
                    "2024-01-01T00:00:00Z",
                    "2024-01-01T00:00:00.1",
                    "2024-01-01T00:00:00.123456Z",
                ],
            ),
            (
                Kind::Text,
                &[
                    "",
                    "2024-01-1",
                    "2024-1-01",
                    "2023-02-29",
                    "1900-02-29",
                    "2024-04-31",
                    "2024-00-10",
                    "2024-13-01",
                    "2024-01-00",
                    "0000-01-01",
                    "20240101xx",
                    "2024/01/01",
                    "+024-01-01",
                    "2024-01-01T",
                    "2024-01-01t00:00:00",
                    "2024-01-01T24:00:00",
                    "2024-01-01T00:60:00",
                    "2024-01-01T00:00:60",
                    "2024-01-01T00:00",
                    "2024-01-01T00:00:00.",
                    "2024-01-01T00:00:00.1234567",
                    "2024-01-01T00:00:00z",
                    "2024-01-01T00:00:00ZZ",
                    "2024-01-01T00:00:00+02:00",
                    "2024-01-01T0:00:000",
                    "2024-01-01é",
                    "2024-01-01T00:00:00 UTC",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(of_text(text.as_bytes()), kind, "{text}");
            }
        }
    }

    #[test]
    fn the_column_type_is_the_narrowest_that_fits() {
        use Kind::{Boolean, Date, Integer, LargeNumber, List, LongInteger, Null, Number, Object, Text, Timestamp};
        for (kinds, expected) in [
            (&[][..], "VARCHAR"),
            (&[Null], "VARCHAR"),
            (&[Boolean, Null], "BOOLEAN"),
            (&[Integer], "BIGINT"),
            (&[LongInteger, Null], "BIGINT"),
            (&[Integer, LongInteger], "BIGINT"),
            (&[Number], "DOUBLE"),
            (&[Integer, Number], "DOUBLE"),
            (&[LongInteger, Number], "VARCHAR"),
            (&[LargeNumber], "VARCHAR"),
            (&[Integer, LargeNumber], "VARCHAR"),
            (&[Date], "DATE"),
            (&[Timestamp], "TIMESTAMP"),
            (&[Date, Timestamp], "VARCHAR"),
            (&[Date, Text], "VARCHAR"),
            (&[Text], "VARCHAR"),
            (&[List], "JSON"),
            (&[Object, List, Null], "JSON"),
            (&[Object, Text], "VARCHAR"),
            (&[Boolean, Integer], "VARCHAR"),
        ] {
            assert_eq!(column_type(|kind| kinds.contains(&kind)), expected, "{kinds:?}");
        }
    }
}
