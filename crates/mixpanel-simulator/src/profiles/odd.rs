//! Unusual records that a robust client must handle (`docs/mixpanel-api.md#records`).

use serde::Deserialize;

use super::write::{push, push_hex, push_number};
use crate::hash::mix2;

/// A record that is unusual in one way. Placed by
/// [`SimulatorConfig::odd_profiles`](crate::SimulatorConfig::odd_profiles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OddProfile {
    /// `$distinct_id` is a number.
    IdNumber,
    /// `$distinct_id` is a number with 20 digits, too large for 64 bits.
    IdTwentyDigits,
    /// `$distinct_id` is missing.
    IdMissing,
    /// `$distinct_id` is null.
    IdNull,
    /// `$distinct_id` is `true`.
    IdBool,
    /// `$distinct_id` is an empty string.
    IdEmpty,
    /// `$properties` is null.
    PropertiesNull,
    /// `$properties` is missing.
    PropertiesMissing,
    /// `$properties` is an array.
    PropertiesArray,
    /// The result is a string, not an object.
    NotAnObject,
    /// `$last_seen` is missing.
    LastSeenMissing,
    /// `$last_seen` has an offset: `2026-05-01T10:00:00+02:00`.
    LastSeenOffset,
    /// `$last_seen` has a fraction: `2026-05-01T10:00:00.123456`.
    LastSeenFraction,
    /// `$last_seen` is `yesterday, around noon`.
    LastSeenGarbage,
    /// `$last_seen` is a number.
    LastSeenNumber,
    /// `$last_seen` is null.
    LastSeenNull,
    /// The key of `$last_seen` is escaped: `"\u0024last_seen"`.
    LastSeenEscapedKey,
    /// `$last_seen` occurs twice, with different times.
    LastSeenTwice,
    /// A value is 2^53 + 1.
    NumberBeyondFloat,
    /// A value is 2^63.
    NumberBeyondSigned,
    /// A value is an integer with 30 digits.
    NumberThirtyDigits,
    /// A value is `1e300`.
    NumberHuge,
    /// A value is `0.10`, which loses its last digit in a round trip through a float.
    NumberTrailingZero,
    /// A value is `1.50E+10`.
    NumberExponent,
    /// Strings contain escapes, including a surrogate pair.
    UnicodeEscaped,
    /// Strings contain unescaped characters outside the Basic Multilingual Plane, U+2028 and U+0085.
    UnicodeRaw,
    /// A key occurs twice.
    DuplicateKeys,
    /// Keys differ only in case.
    KeysDifferInCase,
    /// Lists and objects contain nulls.
    NestedNulls,
    /// Values are empty objects, lists and strings.
    EmptyValues,
    /// A string contains the escape of an unpaired surrogate, which is not valid Unicode.
    LoneSurrogate,
    /// There are 2000 properties, Mixpanel's documented limit.
    TwoThousandKeys,
    /// Strings contain quotes, backslashes, newlines, tabs, NUL and a terminal escape sequence.
    EscapeSequences,
    /// A string and a key have 255 bytes, Mixpanel's documented limit.
    LongTexts,
    /// Values are nested deeper than the documented three levels.
    DeepNesting,
}

impl OddProfile {
    /// All kinds, in order of declaration.
    pub const ALL: [Self; 35] = [
        Self::IdNumber,
        Self::IdTwentyDigits,
        Self::IdMissing,
        Self::IdNull,
        Self::IdBool,
        Self::IdEmpty,
        Self::PropertiesNull,
        Self::PropertiesMissing,
        Self::PropertiesArray,
        Self::NotAnObject,
        Self::LastSeenMissing,
        Self::LastSeenOffset,
        Self::LastSeenFraction,
        Self::LastSeenGarbage,
        Self::LastSeenNumber,
        Self::LastSeenNull,
        Self::LastSeenEscapedKey,
        Self::LastSeenTwice,
        Self::NumberBeyondFloat,
        Self::NumberBeyondSigned,
        Self::NumberThirtyDigits,
        Self::NumberHuge,
        Self::NumberTrailingZero,
        Self::NumberExponent,
        Self::UnicodeEscaped,
        Self::UnicodeRaw,
        Self::DuplicateKeys,
        Self::KeysDifferInCase,
        Self::NestedNulls,
        Self::EmptyValues,
        Self::LoneSurrogate,
        Self::TwoThousandKeys,
        Self::EscapeSequences,
        Self::LongTexts,
        Self::DeepNesting,
    ];

    /// Places every kind once: the first at index `start`, the others at intervals of `step`.
    pub fn spread(start: u64, step: u64) -> Vec<(u64, Self)> {
        Self::ALL.iter().enumerate().map(|(number, kind)| (start + step * number as u64, *kind)).collect()
    }

    /// Writes the record in the format of the Engage API. `seed` and `index` make its ID unique.
    pub(super) fn push_record(self, out: &mut Vec<u8>, seed: u64, index: u64) {
        let own_id = |out: &mut Vec<u8>| {
            push(out, "\"odd-");
            push_hex(out, mix2(seed, index), 8);
            out.push(b'-');
            push_number(out, index);
            out.push(b'"');
        };
        if self == Self::NotAnObject {
            push(out, "\"not an object\"");
            return;
        }
        out.push(b'{');
        if self != Self::IdMissing {
            push(out, "\"$distinct_id\":");
            match self {
                Self::IdNumber => push_number(out, 10_042 + index),
                Self::IdTwentyDigits => {
                    push(out, "9876543210");
                    push_number(out, 1_000_000_000 + index);
                }
                Self::IdNull => push(out, "null"),
                Self::IdBool => push(out, "true"),
                Self::IdEmpty => push(out, "\"\""),
                _ => own_id(out),
            }
        }
        match self {
            Self::PropertiesMissing => {}
            Self::PropertiesNull => push(out, ",\"$properties\":null"),
            Self::PropertiesArray => push(out, ",\"$properties\":[\"plan\",\"free\"]"),
            _ => {
                push(out, if self == Self::IdMissing { "\"$properties\":{" } else { ",\"$properties\":{" });
                self.push_properties(out);
                out.push(b'}');
            }
        }
        out.push(b'}');
    }

    fn push_properties(self, out: &mut Vec<u8>) {
        push(out, "\"plan\":\"odd\",");
        match self {
            Self::LastSeenMissing => push(out, "\"sessions\":1"),
            Self::LastSeenOffset => push(out, "\"$last_seen\":\"2026-05-01T10:00:00+02:00\""),
            Self::LastSeenFraction => push(out, "\"$last_seen\":\"2026-05-01T10:00:00.123456\""),
            Self::LastSeenGarbage => push(out, "\"$last_seen\":\"yesterday, around noon\""),
            Self::LastSeenNumber => push(out, "\"$last_seen\":1777622400"),
            Self::LastSeenNull => push(out, "\"$last_seen\":null"),
            Self::LastSeenEscapedKey => push(out, "\"\\u0024last_seen\":\"2026-05-01T10:00:00\""),
            Self::LastSeenTwice => {
                push(out, "\"$last_seen\":\"2026-05-01T10:00:00\",\"$last_seen\":\"2026-06-01T10:00:00\"");
            }
            _ => {
                push(out, "\"$last_seen\":\"2026-05-01T10:00:00\",");
                self.push_odd_values(out);
            }
        }
    }

    fn push_odd_values(self, out: &mut Vec<u8>) {
        match self {
            Self::NumberBeyondFloat => push(out, "\"big\":9007199254740993,\"negative\":-9007199254740993"),
            Self::NumberBeyondSigned => push(out, "\"big\":9223372036854775808"),
            Self::NumberThirtyDigits => push(out, "\"big\":123456789012345678901234567890"),
            Self::NumberHuge => push(out, "\"big\":1e300,\"tiny\":5e-324,\"minus_zero\":-0.0"),
            Self::NumberTrailingZero => push(out, "\"price\":0.10,\"round\":5.0"),
            Self::NumberExponent => push(out, "\"price\":1.50E+10"),
            Self::UnicodeEscaped => {
                push(out, "\"city\":\"M\\u00fcnchen\",\"mood\":\"\\ud83d\\ude80\",\"\\u540d\\u524d\":\"\\/\"");
            }
            Self::UnicodeRaw => {
                push(
                    out,
                    "\"city\":\"Ωmega \u{1F680}\u{20BB7}\",\"lines\":\"a\u{2028}b\u{2029}c\u{85}d\",\"名前\":\"e\u{301}\"",
                );
            }
            Self::DuplicateKeys => push(out, "\"color\":\"red\",\"size\":1,\"color\":\"blue\""),
            Self::KeysDifferInCase => push(out, "\"color\":\"red\",\"Color\":\"blue\",\"COLOR\":3"),
            Self::NestedNulls => push(out, "\"a\":null,\"b\":[null,1,[null]],\"c\":{\"d\":null,\"e\":{\"f\":null}}"),
            Self::EmptyValues => push(out, "\"a\":{},\"b\":[],\"c\":\"\",\"\":\"empty key\",\"d\":[{},[]]"),
            Self::LoneSurrogate => push(out, "\"half\":\"before \\ud800 after\""),
            Self::TwoThousandKeys => {
                // The record already has two properties.
                for number in 0..1_998 {
                    push(out, if number == 0 { "\"key_" } else { ",\"key_" });
                    push_number(out, number);
                    push(out, "\":");
                    push_number(out, number * number);
                }
            }
            Self::EscapeSequences => push(
                out,
                "\"note\":\"line one\\nline two\\r\\n\\ttabbed \\\"quoted\\\" C:\\\\temp\",\"nul\":\"a\\u0000b\"\
                 ,\"terminal\":\"\\u001b[31mred\\u001b[0m\",\"formula\":\"=1+1\"",
            ),
            Self::LongTexts => {
                push(out, "\"text\":\"");
                out.resize(out.len() + 255, b'x');
                push(out, "\",\"");
                out.resize(out.len() + 255, b'k');
                push(out, "\":1");
            }
            Self::DeepNesting => {
                push(out, "\"deep\":");
                for _ in 0..20 {
                    push(out, "{\"in\":[");
                }
                for _ in 0..20 {
                    push(out, "]}");
                }
            }
            _ => push(out, "\"sessions\":1"),
        }
    }
}
