use std::time::Duration;

use http::StatusCode;

use super::{Fault, FaultKind, PageSelector, Script, Times};
use crate::body_fault::Framing;
use crate::limit_kind::LimitKind;

fn line(text: &str) -> Fault {
    text.parse().expect("a fault")
}

#[test]
fn both_fault_syntaxes_are_equivalent() {
    let pairs = [
        ("pages=3,7 status=500 times=2", r#"{"pages": "3,7", "status": 500, "times": 2}"#),
        ("pages=4 cut=100 framing=chunked", r#"{"pages": 4, "cut": 100, "framing": "chunked"}"#),
        ("every=10 stall=0 for=30s", r#"{"every": 10, "stall": 0, "for": "30s"}"#),
        ("probability=0.5 seed=9 reset", r#"{"probability": 0.5, "seed": 9, "fault": "reset"}"#),
        ("pages=all delay=250ms times=always", r#"{"delay": "250ms"}"#),
        (
            "status=429 header=Retry-After:5 body=\"too many\"",
            r#"{"status": 429, "headers": {"retry-after": "5"}, "body": "too many"}"#,
        ),
        ("fault=load-shed", r#"{"fault": "load-shed"}"#),
    ];
    for (text, json) in pairs {
        let from_json: Fault = serde_json::from_str(json).expect("a fault");
        assert_eq!(line(text), from_json, "{text}");
    }
}

#[test]
fn fault_fields_are_parsed() {
    let fault = line("pages=3,7-9 status=500 times=2");
    assert_eq!(fault.pages, PageSelector::List(vec![3..=3, 7..=9]));
    assert_eq!(fault.times, Times::PerPage(2));
    assert!(matches!(fault.kind, FaultKind::Status { status: StatusCode::INTERNAL_SERVER_ERROR, .. }));
    let fault = line("cut=7");
    assert_eq!((fault.pages, fault.times), (PageSelector::All, Times::Always));
    assert_eq!(fault.kind, FaultKind::Cut { after: 7, framing: Framing::ContentLength });
    assert_eq!(line("stall=9 for=2m").kind, FaultKind::Stall { after: 9, pause: Duration::from_secs(120) });
    assert_eq!(line("hourly-limit").kind, FaultKind::Limit(LimitKind::Hourly));
}

#[test]
fn invalid_faults_are_refused_with_the_accepted_forms() {
    let table = [
        ("", "the fault is empty; expected pages"),
        ("pages=1", "expected exactly one of status, cut, stall, delay and a fault's name, got none"),
        ("status=500 reset", "got status and fault"),
        ("pages=x status=500", "pages: expected \"all\", or numbers and ranges such as 3,7-9, got \"x\""),
        ("pages=9-7 status=500", "got \"9-7\""),
        ("pages=1 every=2 reset", "pages, every and probability are mutually exclusive"),
        ("seed=1 reset", "seed belongs to probability"),
        ("every=0 reset", "every: expected a number from 1"),
        ("probability=1.5 reset", "probability: expected a number from 0 to 1, got 1.5"),
        ("status=99", "status: expected 200 to 599, got 99"),
        ("status=abc", "status: expected a number, got \"abc\""),
        ("status=500 status=501", "status is given twice"),
        ("status=500 for=3s", "for belongs to stall, not to status"),
        ("reset body=x", "body belongs to status, not to fault"),
        ("status=500 header=x", "header: expected NAME:VALUE"),
        ("stall=1", "stall needs for=DURATION"),
        ("stall=1 for=3", "for: cannot read the duration \"3\""),
        ("cut=1 framing=both", "framing: expected content-length or chunked"),
        ("rest", "unknown fault \"rest\"; expected status=, cut=, stall=, delay= or one of reset, html"),
        ("page=1 reset", "unknown field \"page\""),
        ("status=500 body=\"x", "unclosed quote"),
        ("reset times=-1", "times: expected a number"),
    ];
    for (text, message) in table {
        let error = text.parse::<Fault>().expect_err(text);
        assert!(error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn mistakes_in_a_script_are_found_by_number() {
    let table = [
        (r#"[{"fault": "reset"}, {"pages": 1}]"#, "fault 2: expected exactly one of status"),
        (r#"[{"fault": "reset", "page": 1}]"#, "fault 1: unknown field `page`, expected one of `pages`"),
        (r#"[{"pages": true, "fault": "reset"}]"#, "fault 1: pages: expected \"all\", a number, a list"),
        (r#"[{"times": [], "fault": "reset"}]"#, "fault 1: times: expected a number or \"always\""),
        (r#"{"fault": "reset"}"#, "the script is not a JSON array of faults"),
        ("[", "the script is not a JSON array of faults"),
    ];
    for (script, message) in table {
        let error = Fault::read_script(script).expect_err(script);
        assert!(error.starts_with(message), "{script}: {error}");
    }
    assert_eq!(Fault::read_script("[]"), Ok(Vec::new()));
}

#[test]
fn the_first_fault_that_is_due_wins_and_delays_add_up() {
    let mut script = Script::new(vec![
        line("delay=1s"),
        line("pages=1 delay=2s times=1"),
        line("pages=1 status=500 times=1"),
        line("reset times=1"),
    ]);
    let due = script.next(1);
    assert_eq!((due.delay, due.applied), (Duration::from_secs(3), 3));
    assert!(matches!(due.kind, Some(FaultKind::Status { .. })));
    let due = script.next(1);
    assert_eq!((due.delay, due.kind), (Duration::from_secs(1), Some(FaultKind::Reset)));
    assert_eq!(script.next(1).kind, None);
    // `times` is counted separately for each page.
    assert_eq!(script.next(2).kind, Some(FaultKind::Reset));
}

#[test]
fn probability_is_drawn_for_each_request() {
    let happens = |seed: u64| {
        let mut script = Script::new(vec![line(&format!("probability=0.5 seed={seed} reset"))]);
        (0..64).map(|_| script.next(7).kind.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(happens(1), happens(1));
    assert_ne!(happens(1), happens(2));
    let often = happens(1).into_iter().filter(|happened| *happened).count();
    assert!((16..=48).contains(&often), "{often}");
}
