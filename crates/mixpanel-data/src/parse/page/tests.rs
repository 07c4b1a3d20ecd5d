use super::*;

fn parse(body: &str) -> Result<PageBody, String> {
    parse_page(body.as_bytes(), RecordForm::Row)
}

#[test]
fn reads_the_documented_reply() {
    let body = r#"{"page":2,"page_size":1000,"session_id":"1790012345-QZKRWT","status":"ok","total":2345,
        "computed_at":"x","results":[{"$distinct_id":"a","$properties":{"k":1}},{"$distinct_id":10042}]}"#;
    let page = parse(body).unwrap();
    assert_eq!((page.page, page.page_size, page.total), (Some(2), Some(1000), Some(2345)));
    assert_eq!(page.session_id.as_deref(), Some("1790012345-QZKRWT"));
    let ids: Vec<_> = page.rows.iter().map(|row| row.distinct_id.to_owned()).collect();
    assert_eq!(ids, ["a", "10042"]);
}

#[test]
fn tolerates_odd_counts() {
    for (value, expected) in [("5", Some(5)), ("5.0", Some(5)), ("\"5\"", Some(5)), ("5e0", Some(5)), ("null", None)] {
        let page = parse(&format!(r#"{{"total":{value},"results":[]}}"#)).unwrap();
        assert_eq!(page.total, expected, "{value}");
    }
    let page = parse(r#"{"page_size":0,"session_id":null,"total":null,"results":[]}"#).unwrap();
    assert_eq!((page.page_size, page.session_id, page.total), (None, None, None));
}

#[test]
fn one_bad_record_does_not_affect_others() {
    let body =
        "{\"results\":[{\"$distinct_id\":\"a\"},null,[],{\"$distinct_id\":\"\\ud800\"},{\"$distinct_id\":\"b\"}]}";
    let page = parse(body).unwrap();
    assert_eq!((page.rows.len(), page.rows.rejects().len(), page.rows.received()), (2, 3, 5));
    let positions: Vec<_> = page.rows.rejects().iter().map(|reject| reject.position).collect();
    assert_eq!(positions, [1, 2, 3]);
}

#[test]
fn raw_records_are_kept_as_they_are() {
    let page = parse_page(b"{\"results\":[{\"$distinct_id\": \"a\"},null]}", RecordForm::Raw).unwrap();
    let records: Vec<_> = page.rows.iter().map(|row| row.properties.to_owned()).collect();
    assert_eq!(records, [r#"{"$distinct_id": "a"}"#, "null"]);
}

#[test]
fn explains_why_a_response_is_not_a_page() {
    for (body, part) in [
        ("", "EOF"),
        ("<html>", "expected value"),
        ("[]", "an object with `results`"),
        (r#"{"status":"ok"}"#, "no `results`"),
        (r#"{"results":null}"#, "no `results`"),
        (r#"{"results":{}}"#, "an array of profiles"),
        (r#"{"error":"no such thing"}"#, "no such thing"),
        (r#"{"results":[],"results":[]}"#, "`results` twice"),
        (r#"{"results":[]} {}"#, "trailing characters"),
        (&format!(r#"{{"results":[{}[]]}}"#, "[],".repeat(PAGE_RECORDS_MAX)), "more than 200000 records"),
    ] {
        let error = parse(body).unwrap_err();
        assert!(error.contains(part), "{body}: {error}");
    }
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!(
        r#"{{"results":[{{"$distinct_id":"a","$properties":{{"k":{}{}}}}}]}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert_eq!(parse(&deep).unwrap().rows.received(), 1);
}

#[test]
fn an_invalid_status_or_total_is_refused() {
    let page = |member: &str| parse_page(format!(r#"{{{member},"results":[]}}"#).as_bytes(), RecordForm::Row);
    for (member, total) in [
        (r#""status":"ok""#, None),
        (r#""status":"OK","total":"7""#, Some(7)),
        (r#""status":null,"total":null"#, None),
        (r#""status":true,"total":4.0"#, Some(4)),
        (r#""status":200,"total":4.5e3"#, Some(4_500)),
        (r#""error":null,"total":" 2500 ""#, Some(2_500)),
        (r#""error":"""#, None),
    ] {
        assert_eq!(page(member).map(|page| page.total), Ok(total), "{member}");
    }
    for (member, words) in [
        (r#""status":"""#, "the status ``"),
        (r#""status":"failed""#, "the status `failed`"),
        (r#""status":"error","total":0"#, "the status `error`"),
        (r#""status":false"#, "the status `false`"),
        (r#""status":500"#, "the status `500`"),
        (r#""status":{"code":1}"#, "the status `"),
        (r#""total":-1"#, "an invalid total of -1"),
        (r#""total":1.5"#, "an invalid total of 1.5"),
        (r#""total":1e30"#, "an invalid total of 1e30"),
        (r#""total":"4,000""#, "an invalid total of \"4,000\""),
        (r#""total":{"value":4000}"#, "an invalid total of {"),
        (r#""total":[2500]"#, "an invalid total of [2500]"),
        (r#""total":true"#, "an invalid total of true"),
        (r#""total":99999999999999999999999"#, "an invalid total of 99999999999999999999999"),
        (r#""error":{"message":"no"}"#, "an error with status 200"),
        (r#""error":true"#, "an error with status 200"),
    ] {
        let error = page(member).map(|page| page.total).unwrap_err();
        assert!(error.contains(words), "{member}: {error}");
    }
}
