//! The text of unusual lines.

use super::verdict::OddVerdict::{self, Blank, Reject, Row, Unclear};

/// The verdict on each kind of line, the name of the event, and the text with placeholders, in the order of
/// [`OddEvent`](super::OddEvent). `@odd` stands for the beginning of a usual line and `@end` for the end; the others are
/// replaced by values of the day.
pub(super) static LINES: [(OddVerdict, Option<&str>, &str); 48] = [
    // InsertIdMissing
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","note":"no insert id"@end"#),
    // InsertIdNull
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":null@end"#),
    // InsertIdEmpty
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":""@end"#),
    // InsertIdNumber
    (Unclear, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":40@end"#),
    // InsertIdText
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","$insert_id":"p q/é @id"@end"#),
    // DistinctIdEmpty
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"","$insert_id":"@id"@end"#),
    // DistinctIdMissing
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"$insert_id":"@id"@end"#),
    // DistinctIdNull
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":null,"$insert_id":"@id"@end"#),
    // DistinctIdNumber
    (
        Row,
        Some("Odd"),
        r#"{"event":"Odd","properties":{"time":@time,"distinct_id":98765432109876543210,"$insert_id":"@id"@end"#,
    ),
    // DistinctIdObject
    (
        Row,
        Some("Odd"),
        r#"{"event":"Odd","properties":{"time":@time,"distinct_id":{"id":"@id"},"$insert_id":"@id"@end"#,
    ),
    // TimeIso
    (Unclear, Some("Odd"), r#"{"event":"Odd","properties":{"time":"@iso","distinct_id":"@id","$insert_id":"@id"@end"#),
    // TimeFraction
    (Unclear, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time.5,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // TimeNegative
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":-@day,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // TimeDayBefore
    (Row, Some("Odd"), r#"{"event":"Odd","properties":{"time":@before,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // TimeMissing
    (Reject, Some("Odd"), r#"{"event":"Odd","properties":{"distinct_id":"@id","$insert_id":"@id"@end"#),
    // TimeText
    (
        Reject,
        Some("Odd"),
        r#"{"event":"Odd","properties":{"time":"around noon","distinct_id":"@id","$insert_id":"@id"@end"#,
    ),
    // TimeNull
    (Reject, Some("Odd"), r#"{"event":"Odd","properties":{"time":null,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // NumberBeyondFloat
    (Row, Some("Odd"), r#"@odd,"order":9007199254740993,"big":123456789012345678901234567890@end"#),
    // NumberExponent
    (Row, Some("Odd"), r#"@odd,"a":1e21,"b":1.50E+10,"c":0.10,"d":-0.0@end"#),
    // LineSeparators
    (Row, Some("Odd"), "@odd,\"a\u{2028}b\":\"c\u{2029}d\u{85}e\u{2028}\"@end"),
    // ControlCharacters
    (
        Row,
        Some("Odd"),
        "@odd,\"note\":\"a\\u0000b\\u001cc\\r\\n\\td\u{9c}e\u{7f}\",\"url\":\"https:\\/\\/example.org\"@end",
    ),
    // RawControlByte
    (Reject, Some("Odd"), "@odd,\"note\":\"a\u{1c}b\"@end"),
    // Megabyte
    (Row, Some("Odd"), r#"@odd,"text":"@megabyte"@end"#),
    // NestedNames
    (
        Row,
        Some("Odd"),
        r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id","insert_id":"not the dollar one","event":"nested","properties":{"time":"2025-12-31","distinct_id":"x","$insert_id":"y"},"distinct_id_":"y","$insert_id":"@id"@end"#,
    ),
    // DuplicateKeys
    (Row, Some("Odd"), r#"@odd,"color":"red","size":1,"color":"blue","time":12@end"#),
    // KeysDifferInCase
    (Row, Some("Odd"), r#"@odd,"id":1,"Id":"1","ID":null,"Time":5@end"#),
    // EscapedKeys
    (
        Row,
        Some("Odd"),
        r#"{"\u0065vent":"Odd","properties":{"\u0074ime":@time,"distinct\u005fid":"@id","\u0024insert_id":"@id"@end"#,
    ),
    // NullTexts
    (Row, Some("Odd"), r#"@odd,"a":"undefined","b":"null","c":"<null>","d":"","":"empty key","e":null@end"#),
    // Nested
    (Row, Some("Odd"), r#"@odd,"a":[],"b":{},"c":[[[{"d":[null,{"e":"\"}]"}]}]]]@end"#),
    // Verb
    (
        Row,
        Some(r#"$identify"#),
        r#"{"event":"$identify","properties":{"time":@time,"distinct_id":"5f1c","$distinct_id_before_identity":0,"$identified_id":"@id","$anon_id":"5f1c","$is_reshuffled":true,"$insert_id":"AbCdEfGhIjKlMnOp"@end"#,
    ),
    // HotShard
    (
        Row,
        Some(r#"$hotshard_events"#),
        r#"{"event":"$hotshard_events","properties":{"time":@time,"distinct_id":"","mp_original_event_name":"Odd","mp_original_distinct_id":"@id","$insert_id":"@id"@end"#,
    ),
    // NonAsciiName
    (
        Row,
        Some(r#"Bücher 🚀 "x""#),
        r#"{"event":"Bücher 🚀 \"x\"","properties":{"time":@time,"distinct_id":"$device:@id","$insert_id":"@id"@end"#,
    ),
    // EmptyName
    (Unclear, Some(""), r#"{"event":"","properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // PropertiesFirst
    (
        Row,
        Some("Odd"),
        r#"{"properties":{"$insert_id":"@id","a":1,"distinct_id":"@id","time":@time@received},"event":"Odd"}"#,
    ),
    // ExtraMember
    (
        Row,
        Some("Odd"),
        r#"{"event":"Odd","error":null,"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@received},"version":2}"#,
    ),
    // Spaces
    (
        Row,
        Some("Odd"),
        " { \"event\" : \"Odd\" , \"properties\" : { \"time\" : @time ,\t\"distinct_id\" : \"@id\" @end ",
    ),
    // CarriageReturn
    (Row, Some("Odd"), "@odd@end\r"),
    // BlankLine
    (Blank, None, ""),
    // NotAnObject
    (Reject, None, r#""not an object""#),
    // Array
    (Reject, None, r#"["event","Odd"]"#),
    // NameMissing
    (Reject, None, r#"{"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // NameNumber
    (Reject, None, r#"{"event":7,"properties":{"time":@time,"distinct_id":"@id","$insert_id":"@id"@end"#),
    // PropertiesMissing
    (Reject, Some("Odd"), r#"{"event":"Odd"}"#),
    // PropertiesNull
    (Reject, Some("Odd"), r#"{"event":"Odd","properties":null}"#),
    // Unfinished
    (Reject, Some("Odd"), r#"{"event":"Odd","properties":{"time":@time,"distinct_id":"@id""#),
    // TrailingText
    (Reject, Some("Odd"), r#"@odd@end x"#),
    // InvalidUtf8
    (Reject, Some("Odd"), r#"@odd,"note":"a@invalid"@end"#),
    // LoneSurrogate
    (Reject, Some("Odd"), r#"@odd,"note":"a\ud800b"@end"#),
];
