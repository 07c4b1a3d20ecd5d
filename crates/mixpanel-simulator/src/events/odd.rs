//! Unusual lines that a robust client must handle (`docs/mixpanel-api.md#export-rows`).

use serde::Deserialize;

use super::calendar::{DAY_MS, date_of};
use super::line::WrittenTime;
use crate::hash::{mix, mix_text, mix2};

/// A line that is unusual in one way. Placed by [`EventOptions::odd`](crate::EventOptions::odd).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OddEvent {
    /// `$insert_id` is missing.
    InsertIdMissing,
    /// `$insert_id` is null.
    InsertIdNull,
    /// `$insert_id` is an empty string.
    InsertIdEmpty,
    /// `$insert_id` is a number.
    InsertIdNumber,
    /// `$insert_id` has characters that are not allowed today.
    InsertIdText,
    /// `distinct_id` is an empty string.
    DistinctIdEmpty,
    /// `distinct_id` is missing.
    DistinctIdMissing,
    /// `distinct_id` is null.
    DistinctIdNull,
    /// `distinct_id` is a number with 20 digits.
    DistinctIdNumber,
    /// `distinct_id` is an object.
    DistinctIdObject,
    /// `time` is a string, such as `2026-05-01T10:00:00`.
    TimeIso,
    /// `time` has a fraction.
    TimeFraction,
    /// `time` is before 1970.
    TimeNegative,
    /// `time` is on the day before.
    TimeDayBefore,
    /// `time` is missing.
    TimeMissing,
    /// `time` is a string that is no time.
    TimeText,
    /// `time` is null.
    TimeNull,
    /// Values are 2^53 + 1 and an integer with 30 digits.
    NumberBeyondFloat,
    /// Values are `1e21`, `1.50E+10`, `0.10` and `-0.0`.
    NumberExponent,
    /// Strings and keys contain unescaped U+2028, U+2029 and U+0085, which some programs take for line ends.
    LineSeparators,
    /// Strings contain escaped control characters, and unescaped ones above U+007F.
    ControlCharacters,
    /// A string contains an unescaped control character, which is not valid JSON.
    RawControlByte,
    /// The line has a megabyte.
    Megabyte,
    /// User properties are called `event`, `properties`, `insert_id` and `time`, the last one in an object.
    NestedNames,
    /// Keys occur twice, that of the time included.
    DuplicateKeys,
    /// Keys differ only in case.
    KeysDifferInCase,
    /// The keys of the time and the IDs are escaped.
    EscapedKeys,
    /// Strings are `undefined`, `null`, `<null>` and empty.
    NullTexts,
    /// Values are objects and lists, some of them empty.
    Nested,
    /// An identity event whose `$distinct_id_before_identity` is the number 0.
    Verb,
    /// A row of a protected hot shard, without `distinct_id`.
    HotShard,
    /// The name of the event has quotes and characters outside ASCII.
    NonAsciiName,
    /// The name of the event is empty.
    EmptyName,
    /// The properties come before the name.
    PropertiesFirst,
    /// There is a third member beside the name and the properties.
    ExtraMember,
    /// There are spaces between the tokens.
    Spaces,
    /// The line ends with CRLF.
    CarriageReturn,
    /// The line is blank.
    BlankLine,
    /// The line is a JSON string.
    NotAnObject,
    /// The line is a JSON array.
    Array,
    /// The name of the event is missing.
    NameMissing,
    /// The name of the event is a number.
    NameNumber,
    /// The properties are missing.
    PropertiesMissing,
    /// The properties are null.
    PropertiesNull,
    /// The object is not finished.
    Unfinished,
    /// Text follows the object.
    TrailingText,
    /// A string is not valid UTF-8.
    InvalidUtf8,
    /// A string contains the escape of an unpaired surrogate.
    LoneSurrogate,
}

/// What a client should make of an odd line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddVerdict {
    /// It is an event.
    Row,
    /// It is not an event.
    Reject,
    /// It has no content, and should be skipped.
    Blank,
    /// Opinions differ.
    Unclear,
}

use OddVerdict::{Blank, Reject, Row, Unclear};

impl OddEvent {
    /// All kinds, in order of declaration.
    pub const ALL: [Self; 48] = [
        Self::InsertIdMissing,
        Self::InsertIdNull,
        Self::InsertIdEmpty,
        Self::InsertIdNumber,
        Self::InsertIdText,
        Self::DistinctIdEmpty,
        Self::DistinctIdMissing,
        Self::DistinctIdNull,
        Self::DistinctIdNumber,
        Self::DistinctIdObject,
        Self::TimeIso,
        Self::TimeFraction,
        Self::TimeNegative,
        Self::TimeDayBefore,
        Self::TimeMissing,
        Self::TimeText,
        Self::TimeNull,
        Self::NumberBeyondFloat,
        Self::NumberExponent,
        Self::LineSeparators,
        Self::ControlCharacters,
        Self::RawControlByte,
        Self::Megabyte,
        Self::NestedNames,
        Self::DuplicateKeys,
        Self::KeysDifferInCase,
        Self::EscapedKeys,
        Self::NullTexts,
        Self::Nested,
        Self::Verb,
        Self::HotShard,
        Self::NonAsciiName,
        Self::EmptyName,
        Self::PropertiesFirst,
        Self::ExtraMember,
        Self::Spaces,
        Self::CarriageReturn,
        Self::BlankLine,
        Self::NotAnObject,
        Self::Array,
        Self::NameMissing,
        Self::NameNumber,
        Self::PropertiesMissing,
        Self::PropertiesNull,
        Self::Unfinished,
        Self::TrailingText,
        Self::InvalidUtf8,
        Self::LoneSurrogate,
    ];

    /// Returns all kinds with a verdict.
    pub fn all_of(verdict: OddVerdict) -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| kind.verdict() == verdict).collect()
    }

    /// Returns what a client should make of the line.
    pub fn verdict(self) -> OddVerdict {
        self.parts().0
    }

    /// Returns the name of the event, or `None` if the line has none.
    pub fn event(self) -> Option<&'static str> {
        self.parts().1
    }

    /// Writes the line of a day, with a newline.
    pub(super) fn push(self, out: &mut Vec<u8>, seed: u64, day: u64, time: WrittenTime) {
        let hash = mix2(mix_text(seed, &format!("{self:?}")), day);
        let wall = day * DAY_MS + mix(hash) % DAY_MS;
        let number = |wall: u64| if time == WrittenTime::Seconds { wall / 1_000 } else { wall }.to_string();
        let received = format!(r#""$mp_api_timestamp_ms":{},"mp_processing_time_ms":{}"#, wall + 900, wall + 1_700);
        let clock = (wall % DAY_MS) / 1_000;
        let iso = format!("{}T{:02}:{:02}:{:02}", date_of(day), clock / 3_600, clock / 60 % 60, clock % 60);
        let line = self.parts().2;
        let line =
            line.replace("@odd", r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id""#);
        let line = line.replace("@end", "@received}}").replace("@received", &format!(",{received}"));
        let line = line
            .replace("@time", &number(wall))
            .replace("@before", &number(wall.saturating_sub(DAY_MS)))
            .replace("@iso", &iso)
            .replace("@day", &day.to_string())
            .replace("@id", &format!("{hash:016x}"))
            .replace("@megabyte", &"0123456789abcdef".repeat(1 << 16));
        let mut pieces = line.split("@invalid");
        out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
        for piece in pieces {
            out.extend_from_slice(&[0xC3, 0x28, 0xFF]);
            out.extend_from_slice(piece.as_bytes());
        }
        out.push(b'\n');
    }

    /// Returns the verdict, the name of the event, and the line with placeholders.
    fn parts(self) -> (OddVerdict, Option<&'static str>, &'static str) {
        match self {
            Self::InsertIdMissing => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","note":"no insert id"@end"#,
            ),
            Self::InsertIdNull => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":null@end"#,
            ),
            Self::InsertIdEmpty => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":""@end"#,
            ),
            Self::InsertIdNumber => (
                Unclear,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":40@end"#,
            ),
            Self::InsertIdText => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":"p q/é @id"@end"#,
            ),
            Self::DistinctIdEmpty => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"","$insert_id":"@id"@end"#,
            ),
            Self::DistinctIdMissing => {
                (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"$insert_id":"@id"@end"#)
            }
            Self::DistinctIdNull => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":null,"$insert_id":"@id"@end"#,
            ),
            Self::DistinctIdNumber => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":98765432109876543210,"$insert_id":"@id"@end"#,
            ),
            Self::DistinctIdObject => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":{"id":"@id"},"$insert_id":"@id"@end"#,
            ),
            Self::TimeIso => (
                Unclear,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":"@iso","distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::TimeFraction => (
                Unclear,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time.5,"distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::TimeNegative => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":-@day,"distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::TimeDayBefore => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@before,"distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::TimeMissing => {
                (Reject, Some("Odd"), r#"{"event":"Odd","properties":{"distinct_id":"@id","$insert_id":"@id"@end"#)
            }
            Self::TimeText => (
                Reject,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":"around noon","distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::TimeNull => (
                Reject,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":null,"distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::NumberBeyondFloat => {
                (Row, Some("Odd"), r#"@odd,"order":9007199254740993,"big":123456789012345678901234567890@end"#)
            }
            Self::NumberExponent => (Row, Some("Odd"), r#"@odd,"a":1e21,"b":1.50E+10,"c":0.10,"d":-0.0@end"#),
            Self::LineSeparators => (Row, Some("Odd"), "@odd,\"a\u{2028}b\":\"c\u{2029}d\u{85}e\u{2028}\"@end"),
            Self::ControlCharacters => (
                Row,
                Some("Odd"),
                "@odd,\"note\":\"a\\u0000b\\u001cc\\r\\n\\td\u{9c}e\u{7f}\",\"url\":\"https:\\/\\/example.org\"@end",
            ),
            Self::RawControlByte => (Reject, Some("Odd"), "@odd,\"note\":\"a\u{1c}b\"@end"),
            Self::Megabyte => (Row, Some("Odd"), r#"@odd,"text":"@megabyte"@end"#),
            Self::NestedNames => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","insert_id":"not the dollar one","event":"nested","properties":{"time":"2025-12-31","distinct_id":"x","$insert_id":"y"},"distinct_id_":"y","$insert_id":"@id"@end"#,
            ),
            Self::DuplicateKeys => (Row, Some("Odd"), r#"@odd,"color":"red","size":1,"color":"blue","time":12@end"#),
            Self::KeysDifferInCase => (Row, Some("Odd"), r#"@odd,"id":1,"Id":"1","ID":null,"Time":5@end"#),
            Self::EscapedKeys => (
                Row,
                Some("Odd"),
                r#"{"\u0065vent":"Odd","properties":{"\u0074ime":@time,"distinct\u005fid":"@id","\u0024insert_id":"@id"@end"#,
            ),
            Self::NullTexts => {
                (Row, Some("Odd"), r#"@odd,"a":"undefined","b":"null","c":"<null>","d":"","":"empty key","e":null@end"#)
            }
            Self::Nested => (Row, Some("Odd"), r#"@odd,"a":[],"b":{},"c":[[[{"d":[null,{"e":"\"}]"}]}]]]@end"#),
            Self::Verb => (
                Row,
                Some(r#"$identify"#),
                r#"{"event":"$identify","properties":{"time":@time,"distinct_id":"5f1c","$distinct_id_before_identity":0,"$identified_id":"@id","$anon_id":"5f1c","$is_reshuffled":true,"$insert_id":"AbCdEfGhIjKlMnOp"@end"#,
            ),
            Self::HotShard => (
                Row,
                Some(r#"$hotshard_events"#),
                r#"{"event":"$hotshard_events","properties":{"time":@time,"distinct_id":"","mp_original_event_name":"Odd","mp_original_distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::NonAsciiName => (
                Row,
                Some(r#"Bücher 🚀 "x""#),
                r#"{"event":"Bücher 🚀 \"x\"","properties":{"time":@time,"distinct_id":"$device:@id","$insert_id":"@id"@end"#,
            ),
            Self::EmptyName => (
                Unclear,
                Some(""),
                r#"{"event":"","properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#,
            ),
            Self::PropertiesFirst => (
                Row,
                Some("Odd"),
                r#"{"properties":{"$insert_id":"@id","a":1,"distinct_id":"@id","time":@time@received},"event":"Odd"}"#,
            ),
            Self::ExtraMember => (
                Row,
                Some("Odd"),
                r#"{"event":"Odd","error":null,"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@received},"version":2}"#,
            ),
            Self::Spaces => (
                Row,
                Some("Odd"),
                " { \"event\" : \"Odd\" , \"properties\" : { \"time\" : @time ,\t\"distinct_id\" : \"@id\" @end ",
            ),
            Self::CarriageReturn => (Row, Some("Odd"), "@odd@end\r"),
            Self::BlankLine => (Blank, None, ""),
            Self::NotAnObject => (Reject, None, r#""not an object""#),
            Self::Array => (Reject, None, r#"["event","Odd"]"#),
            Self::NameMissing => {
                (Reject, None, r#"{"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#)
            }
            Self::NameNumber => {
                (Reject, None, r#"{"event":7,"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#)
            }
            Self::PropertiesMissing => (Reject, Some("Odd"), r#"{"event":"Odd"}"#),
            Self::PropertiesNull => (Reject, Some("Odd"), r#"{"event":"Odd","properties":null}"#),
            Self::Unfinished => {
                (Reject, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id""#)
            }
            Self::TrailingText => (Reject, Some("Odd"), r#"@odd@end x"#),
            Self::InvalidUtf8 => (Reject, Some("Odd"), r#"@odd,"note":"a@invalid"@end"#),
            Self::LoneSurrogate => (Reject, Some("Odd"), r#"@odd,"note":"a\ud800b"@end"#),
        }
    }
}
