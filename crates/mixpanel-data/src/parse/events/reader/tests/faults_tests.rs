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

const NOT_EVENTS: [&str; 17] = [
    "<html><body>502 Bad Gateway</body></html>",
    "<html>\n<body>\n</html>",
    "Internal Server Error",
    "rate limit reached",
    "export terminated early: deadline exceeded",
    r#"{"status":"error","message":"x"}"#,
    r#"{"status":"error","properties":{"event":"A"}}"#,
    "{\n\"error\": \"x\"\n}",
    r#"{"event":"A","properties":{"ti{"error":"timeout"}"#,
    r#"{"event":"A","properties":{"time":1767225600123}}{"error":"timeout"}"#,
    r#"{"event":"A","properties":{"time":1767225600123}"#,
    r#"{"event":"A","properties":{"time":1767225600123}} x"#,
    "{}",
    "[]",
    r#"["event"]"#,
    r#""event""#,
    "null",
];

#[test]
fn a_last_line_that_is_not_an_event_is_never_a_reject() {
    let good = event(r#"{"time":1767225600123}"#);
    for line in NOT_EVENTS {
        let last = line.lines().last().unwrap();
        for ending in ["\n", "\r\n", "\n\n", "\n \r\n\t"] {
            for before in [good.clone(), format!("{good}[]\n{good}"), format!("{good}[]\n")] {
                let fault = read(&format!("{before}{line}{ending}")).unwrap_err();
                assert_eq!(fault, BodyFault::EndsWithMessage(last.to_owned()), "{line:?} {ending:?}");
            }
            // In the middle, and before an event that is a reject itself.
            for (after, rows) in [(good.as_str(), 2), (r#"{"event":"A","properties":{}}"#, 1)] {
                for after in [after.to_owned(), format!("{after}\n\n")] {
                    let outcome = read(&format!("{good}{line}{ending}{after}")).unwrap();
                    assert_eq!(outcome.rows.len(), rows, "{line:?} {ending:?}");
                    assert_eq!(outcome.rejects.len(), line.lines().count() + 2 - rows, "{line:?} {ending:?}");
                }
            }
        }
        let fault = read(&format!("{good}{line}")).unwrap_err();
        let is_json = serde_json::from_str::<serde_json::Value>(last).is_ok();
        let expected = if is_json { BodyFault::EndsWithMessage(last.to_owned()) } else { BodyFault::Cut };
        assert_eq!(fault, expected, "{line:?}");
    }
    // After rows that were handed over already.
    let fault = read(&format!("{}{{}}\n", good.repeat(9_000))).unwrap_err();
    assert_eq!(fault, BodyFault::EndsWithMessage("{}".to_owned()));
}

#[test]
fn a_last_line_that_is_an_event_may_be_a_reject() {
    let good = event(r#"{"time":1767225600123}"#);
    for line in [
        r#"{"event":"A"}"#.as_bytes(),
        br#"{"event":7}"#,
        br#"{"event":null,"properties":{"time":1}}"#,
        br#"{"event":"A","event":"B","properties":{"time":1}}"#,
        br#"{"event":"A","properties":{}}"#,
        br#"{"event":"A","properties":{"time":"soon"}}"#,
        br#"{"properties":{"time":null},"\u0065vent":"A"}"#,
        br#"{"event":"A","properties":{"time":1,"x":"\ud83d"}}"#,
        b"{\"event\":\"A\",\"properties\":{\"x\":\"\xff\"}}",
    ] {
        for ending in ["", "\n", "\r\n\n"] {
            let body = [good.as_bytes(), line, ending.as_bytes()].concat();
            let outcome = read_with(&body, 1 << 10, january(), &EventReading::default()).unwrap();
            assert_eq!((outcome.rows.len(), outcome.rejects.len()), (1, 1), "{}", line.escape_ascii());
            // Without any row, and after a line that is not an event.
            for (before, rejects) in [("", 1), ("[]\n", 2)] {
                let body = [before.as_bytes(), line, ending.as_bytes()].concat();
                let outcome = read_with(&body, 1 << 10, january(), &EventReading::default());
                let outcome = outcome.unwrap_or_else(|fault| panic!("{}: {fault:?}", body.escape_ascii()));
                assert_eq!((outcome.rows.len(), outcome.rejects.len()), (0, rejects), "{}", body.escape_ascii());
            }
        }
    }
}

#[test]
fn the_end_of_a_line_over_the_limit_shows_whether_it_is_an_event() {
    let good = event(r#"{"time":1767225600123}"#);
    let long = "x".repeat(crate::limits::EVENT_LINE_BYTES_MAX);
    for (line, is_event) in [
        (format!("{{\"event\":\"A\",\"properties\":{{\"x\":\"{long}\"}}}}\n"), true),
        (format!("{{\"event\":\"A\",\"properties\":{{\"x\":\"{long}\n"), false),
        (format!("<p>{long}}}\n"), false),
    ] {
        let last = read(&format!("{good}{line}"));
        match last {
            Ok(outcome) => assert!(is_event && outcome.rejects.len() == 1),
            Err(BodyFault::EndsWithMessage(_)) => assert!(!is_event),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(read(&format!("{line}{good}")).unwrap().rejects.len(), 1);
        assert_eq!(read(&format!("[]\n{line}")).is_ok(), is_event);
    }
}

#[test]
fn text_without_any_event_is_not_an_export() {
    for body in [
        "Unknown error",
        "Unknown error\n",
        "<html>\n<title>Log in</title>\n</html>",
        "[]\n",
        "{\n\"message\": \"no\"\n}\n",
        r#"{"properties":{"time":1},"properties":{}}"#,
        "42",
    ] {
        let Err(BodyFault::NotAnExport(beginning)) = read(body) else { panic!("{body}") };
        assert!(beginning.starts_with(body.lines().next().unwrap()), "{body}: {beginning}");
        assert!(beginning.chars().count() < 400);
    }
    let outcome = read("{\"event\":\"A\",\"properties\":{}}\n").unwrap();
    assert_eq!(outcome.rejects.len(), 1, "an event without a time is an event");
}
