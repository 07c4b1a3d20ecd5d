use super::*;

#[test]
fn a_body_that_says_so_is_incomplete() {
    let good = event(r#"{"time":1767225600123}"#);
    let error = |text: &str| BodyFault::Error(text.to_owned());
    for (line, expected) in [
        ("export terminated early", BodyFault::TerminatedEarly),
        ("terminated early", BodyFault::TerminatedEarly),
        ("[terminated early]", BodyFault::TerminatedEarly),
        (r#"{"error":"#, error("")),
        (r#"{"error":"too big"}"#, error("too big")),
        (r#"{"error": "too b"#, error("too b")),
        (r#"{"status":"error","error":{"code":1}}"#, error(r#"{"code":1}"#)),
        (r#"{"request":"/x","error":"export terminated early"}"#, BodyFault::TerminatedEarly),
        (r#"{"event":"A","properties":{"ti export terminated early"#, BodyFault::TerminatedEarly),
    ] {
        for (before, after) in
            [("", ""), ("", "\n"), (good.as_str(), ""), (&good, "\n"), (&good, "\r\n"), (&good, &format!("\n{good}"))]
        {
            let body = format!("{before}{line}{after}");
            assert_eq!(read(&body).unwrap_err(), expected, "{body:?}");
        }
    }
}

#[test]
fn a_cut_last_line_is_never_a_reject() {
    let line = r#"{"event":"Bücher 🚀","properties":{"time":1767225600123,"x":{"y":[1,"z"]},"distinct_id":"é"}}"#;
    let good = event(r#"{"time":1767225600123}"#);
    for cut in 0..line.len() {
        for before in ["", good.as_str()] {
            let body = [before.as_bytes(), &line.as_bytes()[..cut]].concat();
            let outcome = read_with(&body, 1 << 10, january(), &EventReading::default());
            if cut == 0 {
                assert!(outcome.is_ok());
            } else {
                assert_eq!(outcome.unwrap_err(), BodyFault::Cut, "cut after {cut}");
            }
        }
    }
    // A last line that is damaged but not cut.
    let body = [good.as_bytes(), b"{\"event\":\"A\",\"properties\":{\"x\":\"\xff\"}}"].concat();
    let outcome = read_with(&body, 1 << 10, january(), &EventReading::default()).unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (1, 1));
}

#[test]
fn text_without_any_event_is_not_an_export() {
    for body in [
        "Unknown error",
        "Unknown error\n",
        "<html>\n<title>Log in</title>\n</html>",
        "[]\n",
        "{\n\"message\": \"no\"\n}\n",
        "42",
    ] {
        let Err(BodyFault::NotAnExport(beginning)) = read(body) else { panic!("{body}") };
        assert!(beginning.starts_with(body.lines().next().unwrap()), "{body}: {beginning}");
        assert!(beginning.chars().count() < 400);
    }
    let outcome = read("{\"event\":\"A\",\"properties\":{}}\n").unwrap();
    assert_eq!(outcome.rejects.len(), 1, "an event without a time is an event");
}
