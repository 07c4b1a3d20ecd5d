use std::time::Duration;

use proptest::prelude::*;

use super::testing::odd_records;
use crate::limits::{PAGE_RECORDS_MAX, REJECT_BYTES_MAX};
use crate::parse::page::{PageBody, parse_page};
use crate::parse::{RecordForm, Reject};

const A: &[u8] =
    br#"{"$distinct_id":"a","$properties":{"k":"},{\"$distinct_id\":\"no\"},[","n":1.50,"l":[{"x":"]"}]}}"#;
const B: &[u8] =
    "{ \"$distinct_id\" : \"b\", \"$properties\" : { \"k\":\"é 😀 // /* '\", \"e\":\"\\\\\" } }".as_bytes();
const A_ROW: &str = r#"a|{"k":"},{\"$distinct_id\":\"no\"},[","n":1.50,"l":[{"x":"]"}]}"#;
const B_ROW: &str = "b|{ \"k\":\"é 😀 // /* '\", \"e\":\"\\\\\" }";

fn envelope(results: &[u8]) -> Vec<u8> {
    let head = br#"{"page":0,"session_id":"s-1","results":["#;
    [&head[..], results, br#"],"page_size":1000,"status":"ok","computed_at":"x","total":3}"#].concat()
}

fn read(body: &[u8]) -> PageBody {
    parse_page(body, RecordForm::Row).unwrap_or_else(|error| panic!("{error}: {}", shown(body)))
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned()
}

fn rows(page: &PageBody) -> Vec<String> {
    page.rows.iter().map(|row| format!("{}|{}", row.distinct_id, row.properties)).collect()
}

/// Undoes the escapes of a reject, as DuckDB's cast to BLOB does.
fn bytes_of(reject: &Reject) -> Vec<u8> {
    if !reject.reason.starts_with("not UTF-8") {
        return reject.raw.clone().into_bytes();
    }
    let mut bytes = Vec::new();
    let mut rest = reject.raw.as_bytes();
    while let Some(byte) = rest.first() {
        assert!(byte.is_ascii());
        if rest.starts_with(b"\\x") {
            let hex = std::str::from_utf8(&rest[2..4]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &rest[4..];
        } else {
            bytes.push(*byte);
            rest = &rest[1..];
        }
    }
    bytes
}

#[test]
fn an_odd_record_is_a_reject_and_its_neighbours_are_rows() {
    for odd in odd_records() {
        for (records, position, expected) in
            [([A, &odd, B], 1, [A_ROW, B_ROW]), ([&odd, B, A], 0, [B_ROW, A_ROW]), ([B, A, &odd], 2, [B_ROW, A_ROW])]
        {
            for separator in [&b","[..], b" ,\r\n\t"] {
                let body = envelope(&records.join(separator));
                let page = read(&body);
                assert_eq!(rows(&page), expected, "{}", shown(&body));
                let [reject] = page.rows.rejects() else {
                    panic!("{:?} in {}", page.rows.rejects(), shown(&body));
                };
                assert_eq!((shown(&bytes_of(reject)), reject.position), (shown(&odd), position), "{}", reject.reason);
                assert!(bytes_of(reject) == odd.trim_ascii_end());
                let facts = (page.page, page.page_size, page.session_id.as_deref(), page.total);
                assert_eq!(facts, (Some(0), Some(1000), Some("s-1"), Some(3)));
            }
        }
    }
}

#[test]
fn many_odd_records_in_one_page_are_as_many_rejects() {
    let odd = odd_records();
    // Only records with a clear beginning and end: a record without an end cannot be told apart from a following one
    // without a beginning.
    let clear: Vec<&Vec<u8>> =
        odd.iter().filter(|record| record.starts_with(b"{\"$distinct_id\"") && record.ends_with(b"}}")).collect();
    let mut records = Vec::new();
    for record in &clear {
        records.extend([A, record.as_slice()]);
    }
    let page = read(&envelope(&records.join(&b","[..])));
    for (reject, record) in page.rows.rejects().iter().zip(&clear) {
        assert_eq!(shown(&bytes_of(reject)), shown(record));
    }
    assert_eq!(page.rows.received(), records.len());
    assert_eq!(rows(&page), vec![A_ROW; clear.len()]);
}

#[test]
fn garbage_between_records_loses_none() {
    let page = |results: &[&[u8]]| read(&envelope(&results.concat()));
    for (between, rejects) in [
        (&b",,"[..], &[""][..]),
        (b", ,\n,", &["", ""]),
        (b"", &[]),
        (b" \n", &[]),
        (b",\xef\xbb\xbf", &[]),
        (b"\0,\0", &[]),
        (b", /* one, two {} */ ", &[]),
        (b", // it's {\n", &[]),
        (b" x ,", &["x"]),
        (b",x,", &["x"]),
        (b" \xff,", &["\\xFF"]),
    ] {
        let page = page(&[A, between, B]);
        assert_eq!(rows(&page), [A_ROW, B_ROW], "{}", shown(between));
        let raw: Vec<_> = page.rows.rejects().iter().map(|reject| reject.raw.as_str()).collect();
        assert_eq!(raw, rejects, "{}", shown(between));
    }
    for (results, received) in [(&b","[..], 1), (b",,", 2), (b" ", 0), (b"/**/", 0)] {
        assert_eq!(page(&[results]).rows.received(), received);
    }
    assert_eq!(page(&[A, b","]).rows.received(), 1);
    assert_eq!(page(&[b",", A]).rows.received(), 2);
}

#[test]
fn odd_envelopes_are_followed() {
    let results = [A, b"\t,null\0,", B].concat();
    for (head, tail) in [
        (&b"\xef\xbb\xbf{\"results\":["[..], &b"]}"[..]),
        (b" \xef\xbb\xbf \n{ \"results\" : [", b"] }\n\0"),
        (b"{\"results\":[", b"],\"page\":NaN,\"total\":1e,\"status\":'ok'}"),
        (
            b"{\"computed_at\":\"a\tb\xff]}\",\"x\":{\"results\":[]},\"results\":[",
            b"],\"warnings\":[\"]\",[1]],\"y\":{\"z\":[]},}",
        ),
        (b"{,\"page_size\":undefined,,\"error\":null,\"re\\u0073ults\":[", b",],\"error\":\"\"}"),
        (b"{\"results\":[", b"]}\n\n"),
    ] {
        let page = read(&[head, &results, tail].concat());
        assert_eq!(
            (rows(&page), page.rows.received()),
            (vec![A_ROW.to_owned(), B_ROW.to_owned()], 3),
            "{}",
            shown(head)
        );
        assert_eq!((page.total, page.rows.unstored().trailing_bytes()), (None, 0));
    }
    for body in [&b"{\"session_id\":\"a\xff\",\"results\":[]}"[..], b"{\"session_id\":'a',\"results\":[]}"] {
        assert_eq!(read(body).session_id, None);
    }
    let page = read(b"{\"results\":[],\"total\":\"7\"} <!-- served by x -->");
    assert_eq!((page.total, page.rows.unstored().trailing_bytes()), (Some(7), 20));
}

#[test]
fn a_malformed_envelope_is_refused() {
    let whole = envelope(&[A, b",{\"x\":NaN},", B].concat());
    let bodies: &[(&[u8], &str)] = &[
        (&whole[..whole.len() - 1], "expected value"),
        (&whole[..whole.len() - 80], "expected value"),
        (&whole[..60], "EOF"),
        (b"{\"results\":[NaN", "expected"),
        (b"{\"results\":[NaN}", "expected"),
        (b"{\"results\":NaN}", "expected"),
        (b"{\"results\":[NaN]}}", "expected"),
        (b"{\"results\":[]}{\"results\":[{\"$distinct_id\":\"a\"}]}", "trailing characters"),
        (b"{\"results\":[]}[]", "trailing characters"),
        (b"{\"results\":[],\"results\":[]}", "twice"),
        (b"{\"results\":null}", "no `results`"),
        (b"{\"results\":{\"a\":NaN}}", "an array of profiles"),
        (b"{\"status\":\"\xff\"}", "has the status"),
        (b"{\"error\":\"caf\xe9\",\"results\":[]}", "an error with status 200: caf\u{fffd}"),
        (b"{\"results\":[NaN],\"error\":\"too \tmuch\"}", "an error with status 200"),
        (b"\xff\xfe{\0}\0", "not UTF-8"),
        (b"\xff", "not UTF-8"),
    ];
    for (body, reason) in bodies {
        let error = parse_page(body, RecordForm::Row).expect_err(&shown(body));
        assert!(error.contains(reason), "{}: {error}", shown(body));
    }
    let many = envelope(",".repeat(PAGE_RECORDS_MAX + 1).as_bytes());
    assert!(parse_page(&many, RecordForm::Row).unwrap_err().contains("more than 200000 records"));
}

#[test]
fn raw_records_are_json_or_rejects() {
    let body = envelope(b"null,{\"x\":NaN},{\"$distinct_id\":\"\\ud800\"},[1],\"\xff\"");
    let page = parse_page(&body, RecordForm::Raw).unwrap();
    let records: Vec<_> = page.rows.iter().map(|row| row.properties).collect();
    assert_eq!(records, ["null", r#"{"$distinct_id":"\ud800"}"#, "[1]"]);
    let rejects: Vec<_> = page.rows.rejects().iter().map(|reject| (reject.position, reject.raw.as_str())).collect();
    assert_eq!(rejects, [(1, "{\"x\":NaN}"), (4, "\"\\xFF\"")]);
}

#[test]
fn long_rejects_are_truncated_with_a_note() {
    for (byte, per_byte) in [(b'x', 1), (0xff, 4)] {
        let long = [b"{\"x\":\"", &vec![byte; REJECT_BYTES_MAX][..], b"\"}"].concat();
        let page = read(&envelope(&[&long[..], A].join(&b","[..])));
        let reject = &page.rows.rejects()[0];
        assert!(reject.raw.len() <= REJECT_BYTES_MAX && reject.raw.len() > REJECT_BYTES_MAX - 4);
        let bytes = bytes_of(reject);
        assert!(long.starts_with(&bytes) && bytes.len() * per_byte > REJECT_BYTES_MAX - 40);
        let end = format!("only the first {} of {} bytes are kept", bytes.len(), long.len());
        assert!(reject.reason.ends_with(&end), "{}", reject.reason);
    }
}

/// Inputs that expose any step that is not linear.
fn hostile(bytes: usize) -> Vec<(&'static str, Vec<u8>)> {
    let fill = |unit: &[u8]| unit.repeat(bytes / unit.len());
    let record = b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":";
    vec![
        ("open braces", fill(b"{")),
        ("open brackets", fill(b"[")),
        ("brackets that match nothing", [fill(b"{"), fill(b"]")].concat()),
        ("quotes", fill(b"\"")),
        ("single quotes", fill(b",'")),
        ("backslashes", fill(b"\\")),
        ("escaped quotes", fill(b"\"\\\"")),
        ("blanks", fill(b" ")),
        ("commas", fill(b",")),
        ("commas and blanks", fill(b",                                                                            ")),
        ("comments that do not end", fill(b"/*")),
        ("lines that do not end", fill(b"//")),
        ("comments", fill(b"/**/#\n")),
        ("not UTF-8", fill(b"\xff")),
        ("records without an end", fill(&[&record[..], b"[{},"].concat())),
        ("records without an end, nested", fill(&[&record[..], b"["].concat())),
        ("records in braces", fill(&[&record[..], b"NaN},"].concat())),
        ("strings without an end", fill(&[&record[..], b"\"},"].concat())),
        ("paths", fill(&[&record[..], br#""C:\temp\"}},"#].concat())),
        ("long records", fill(&[&record[..], &vec![b'['; 400], b"}},"].concat())),
        ("keys", fill(b"\"$distinct_id\"")),
        ("braces and keys", fill(b"{\"$distinct_id\"")),
        ("other keys", fill(b"{\"id\":[,")),
        ("quotes and blanks", fill(b"\"                                                                            x")),
        ("members", fill(b"{},\"a\":")),
        ("ends", fill(b"],\"a\":1")),
        ("objects", fill(b"{}")),
        ("envelopes", fill(b"]}")),
    ]
}

/// Returns the CPU time of this thread, which does not depend on how busy the machine is.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it is not negative")
}

#[test]
fn hostile_texts_take_linear_time() {
    for (name, text) in hostile(4 << 20) {
        let body = envelope(&text);
        let start = processor_time();
        if let Ok(page) = parse_page(&body, RecordForm::Row) {
            assert!(page.rows.received() <= PAGE_RECORDS_MAX);
        }
        let took = processor_time() - start;
        // Several times the usual duration; quadratic time would take minutes.
        assert!(took < Duration::from_secs(1), "{name}: {took:?}");
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(u8),
    Insert(u8),
    Delete,
    Cut,
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:' \t\n/*#\0\xff\xc3".to_vec())].boxed();
    prop_oneof![
        byte.clone().prop_map(Mutation::Set),
        byte.prop_map(Mutation::Insert),
        Just(Mutation::Delete),
        Just(Mutation::Cut),
    ]
}

fn mutate(record: &mut Vec<u8>, from: usize, mutation: &Mutation, place: prop::sample::Index) {
    if record.len() <= from {
        return;
    }
    let at = from + place.index(record.len() - from);
    match mutation {
        Mutation::Set(byte) => record[at] = *byte,
        Mutation::Insert(byte) => record.insert(at, *byte),
        Mutation::Delete => drop(record.remove(at)),
        Mutation::Cut => record.truncate(at),
    }
}

fn any_record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[ -~é😀]{0,12}".prop_map(|text| serde_json::Value::from(text).to_string()),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,3})?",
        Just("null".to_owned()),
        Just("[{\"a\":[1,2]},\"]\"]".to_owned()),
        Just("{\"x\":{\"y\":\"}\"}}".to_owned()),
    ];
    let member = ("[a-z$ ]{1,8}", value);
    ("[ -~]{0,8}", prop::collection::vec(member, 0..5)).prop_map(|(id, members)| {
        let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}_\": {value}")).collect();
        format!("{{\"$distinct_id\":{},\"$properties\":{{{}}}}}", serde_json::Value::from(id), members.join(", "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Damage to one record does not change the rows of the others.
    #[test]
    fn a_damaged_record_does_not_affect_others(
        records in prop::collection::vec(any_record(), 1..7),
        victim in any::<prop::sample::Index>(),
        first in (any_mutation(), any::<prop::sample::Index>()),
        others in prop::collection::vec((any_mutation(), any::<prop::sample::Index>()), 0..3),
    ) {
        let victim = victim.index(records.len());
        let mut texts: Vec<Vec<u8>> = records.iter().map(|record| record.clone().into_bytes()).collect();
        mutate(&mut texts[victim], 0, &first.0, first.1);
        for (mutation, place) in &others {
            // Keep the beginning: without it, the record cannot be told apart from the previous one.
            mutate(&mut texts[victim], "{\"$distinct_id\":".len(), mutation, *place);
        }
        let page = parse_page(&envelope(&texts.join(&b","[..])), RecordForm::Row)
            .map_err(|error| TestCaseError::fail(format!("{error}: {}", shown(&texts[victim]))))?;
        let found = rows(&page);
        let clean = |record: &String| rows(&read(&envelope(record.as_bytes())));
        let before: Vec<String> = records[..victim].iter().flat_map(clean).collect();
        let after: Vec<String> = records[victim + 1..].iter().flat_map(clean).collect();
        let of_victim = found.len() as i64 - (before.len() + after.len()) as i64;
        prop_assert!((0..=1).contains(&of_victim), "{:?} of {}", found, shown(&texts[victim]));
        prop_assert_eq!(&found[..before.len()], &before[..], "{}", shown(&texts[victim]));
        prop_assert_eq!(&found[found.len() - after.len()..], &after[..], "{}", shown(&texts[victim]));
        prop_assert_eq!(page.rows.received(), page.rows.len() + page.rows.rejects().len());
    }

    /// No damage to a page causes a panic or loses part of a record.
    #[test]
    fn a_damaged_page_never_panics_or_splits_records(
        records in prop::collection::vec(any_record(), 0..5),
        mutations in prop::collection::vec((any_mutation(), any::<prop::sample::Index>()), 1..8),
    ) {
        let mut body = envelope(records.join(",").as_bytes());
        for (mutation, place) in &mutations {
            mutate(&mut body, 0, mutation, *place);
        }
        if let Ok(page) = parse_page(&body, RecordForm::Row) {
            prop_assert_eq!(page.rows.received(), page.rows.len() + page.rows.rejects().len());
        }
    }
}
