//! Unusual lines that a robust client must handle (`docs/mixpanel-api.md#export-response`).

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::calendar::{DAY_MS, date_of, to_utc};
use super::odd_lines::LINES;
use super::verdict::OddVerdict;
use super::written_time::WrittenTime;
use crate::hash::{mix, mix2};

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

/// How long after its time a line is received and processed, in milliseconds.
const RECEIVED: u64 = 900;
const PROCESSED: u64 = 1_700;

impl OddEvent {
    fn parts(self) -> (OddVerdict, Option<&'static str>, &'static str) {
        LINES[self as usize]
    }

    /// All kinds, in the order in which a day has them. Those that are not events come first, so that a complete export
    /// does not end with one, unless its rows are shuffled.
    pub const ALL: [Self; 48] = [
        Self::RawControlByte,
        Self::NotAnObject,
        Self::Array,
        Self::NameMissing,
        Self::Unfinished,
        Self::TrailingText,
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
        Self::NameNumber,
        Self::PropertiesMissing,
        Self::PropertiesNull,
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

    /// Returns whether the line of a day exists already.
    pub(super) fn exists(self, seed: u64, zone: &TimeZone, day: u64, now_ms: u64) -> bool {
        to_utc(zone, self.wall(seed, day)) + PROCESSED <= now_ms
    }

    fn hash(self, seed: u64, day: u64) -> u64 {
        mix2(mix(seed ^ (0x0DD0 + self as u64)), day)
    }

    /// Returns the wall time of the line of a day, in milliseconds.
    fn wall(self, seed: u64, day: u64) -> u64 {
        day * DAY_MS + mix(self.hash(seed, day)) % DAY_MS
    }

    /// Writes the line of a day, with a newline.
    pub(super) fn push(self, out: &mut Vec<u8>, seed: u64, zone: &TimeZone, day: u64, time: WrittenTime) {
        let (hash, wall) = (self.hash(seed, day), self.wall(seed, day));
        let utc = to_utc(zone, wall);
        let number = |wall: u64| if time == WrittenTime::Seconds { wall / 1_000 } else { wall }.to_string();
        let received =
            format!(r#""$mp_api_timestamp_ms":{},"mp_processing_time_ms":{}"#, utc + RECEIVED, utc + PROCESSED);
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
}
