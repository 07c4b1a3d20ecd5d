use super::*;

fn arguments(from: &str, to: &str) -> EventArguments {
    EventArguments {
        from: Some(from.parse().expect(from)),
        to: Some(to.parse().expect(to)),
        events: Vec::new(),
        filter: None,
        limit: None,
        dedupe: Dedupe::Exact,
        mode: FetchMode::Sequential,
        chunk_days: None,
        batch_size: None,
        refresh_days: 5,
    }
}

fn query(from: &str, to: &str) -> Result<EventQuery> {
    arguments(from, to).query(ProjectTimeZone::utc(), date(2026, 11, 26))
}

#[test]
fn days_are_absolute_or_relative() {
    let today = date(2026, 3, 1);
    let table = [
        ("2026-02-28", "2026-02-28"),
        ("today", "2026-03-01"),
        ("yesterday", "2026-02-28"),
        ("0d", "2026-03-01"),
        ("7d", "2026-02-22"),
        ("365d", "2025-03-01"),
        ("1970-01-01", "1970-01-01"),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Day>().expect(text).on(today).to_string(), expected, "{text}");
    }
    for text in [
        "",
        "d",
        "-1d",
        "+1d",
        "1.5d",
        "7",
        "7h",
        "1w",
        "Today",
        "tomorrow",
        "2026-2-3",
        "20260203",
        "2026-02-30",
        "2026-02-03T00:00",
        "2026-W05-2",
        "99999999999d",
        "+2026-02-03",
        " today",
        "02/03/2026",
    ] {
        let error = text.parse::<Day>().expect_err(text);
        assert!(error.message().contains("`yesterday`"), "{text}: {error}");
    }
    assert_eq!(Day::Ago(u32::MAX).on(today), Day::Ago(DAYS_AGO_MAX).on(today));
}

#[test]
fn the_last_day_is_at_most_today() {
    let days = |from, to| query(from, to).map(|query| (query.from.to_string(), query.to.to_string(), query.days()));
    let expect = |from: &str, to: &str, days| (from.to_owned(), to.to_owned(), days);
    assert_eq!(days("2026-11-20", "2026-11-22").unwrap(), expect("2026-11-20", "2026-11-22", 3));
    assert_eq!(days("today", "today").unwrap(), expect("2026-11-26", "2026-11-26", 1));
    assert_eq!(days("7d", "2027-01-01").unwrap(), expect("2026-11-19", "2026-11-26", 8));
    for (from, to, reason) in [
        ("2026-11-22", "2026-11-20", "the first day 2026-11-22 is after the last day 2026-11-20"),
        ("2026-11-27", "2026-11-28", "the first day 2026-11-27 is after today, which is 2026-11-26 in the project"),
        ("1999-12-31", "2000-01-01", "the first day 1999-12-31 is before 2000-01-01, the earliest possible"),
    ] {
        assert_eq!(days(from, to).unwrap_err().message(), reason);
    }
    let missing = EventArguments { from: None, ..arguments("today", "today") };
    let error = missing.query(ProjectTimeZone::utc(), date(2026, 11, 26)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_sequential_fetch_has_at_most_100_days() {
    assert_eq!(query("99d", "today").unwrap().days(), 100);
    let error = query("100d", "today").unwrap_err();
    assert_eq!((error.kind(), error.kind().code()), (ErrorKind::DateRangeTooLarge, "DATE_RANGE_TOO_LARGE"));
    let expected = serde_json::json!({
        "from_date": "2026-08-18", "to_date": "2026-11-26", "days_requested": 101, "max_days": 100,
    });
    assert_eq!(error.details(), expected);
    let parallel = FetchMode::Parallel { max_workers: None };
    let long = EventArguments { mode: parallel, ..arguments("2015-01-01", "today") };
    assert_eq!(long.query(ProjectTimeZone::utc(), date(2026, 11, 26)).unwrap().days(), 4_348);
}

#[test]
fn arguments_have_ranges() {
    let of = |change: fn(&mut EventArguments)| {
        let mut arguments = arguments("today", "today");
        change(&mut arguments);
        arguments.check().map_err(|error| error.message().to_owned())
    };
    for change in [
        (|_| {}) as fn(&mut EventArguments),
        |of| of.mode = FetchMode::Parallel { max_workers: None },
        |of| of.mode = FetchMode::Parallel { max_workers: Some(1) },
        |of| of.mode = FetchMode::Parallel { max_workers: Some(100) },
        |of| of.limit = Some(100_000),
        |of| of.limit = Some(1),
        |of| of.chunk_days = Some(1),
        |of| of.chunk_days = Some(100),
        |of| of.batch_size = Some(100),
        |of| of.refresh_days = 0,
        |of| of.events = vec![" ".to_owned(), "Ünï\u{2028}".to_owned()],
    ] {
        assert_eq!(of(change), Ok(()));
    }
    type Change = fn(&mut EventArguments);
    let table: [(Change, &str); 11] = [
        (|of| of.limit = Some(0), "limit 0: use 1 to 100000"),
        (|of| of.limit = Some(100_001), "limit 100001: use 1 to 100000"),
        (|of| of.chunk_days = Some(0), "chunk days 0: use 1 to 100"),
        (|of| of.chunk_days = Some(101), "chunk days 101: use 1 to 100"),
        (|of| of.batch_size = Some(99), "batch size 99: use 100 to 100000"),
        (|of| of.mode = FetchMode::Parallel { max_workers: Some(0) }, "0 workers: use 1 to 100"),
        (|of| of.mode = FetchMode::Parallel { max_workers: Some(101) }, "101 workers: use 1 to 100"),
        (|of| of.refresh_days = 4_000, "refresh days 4000: use 0 to 3650"),
        (|of| of.filter = Some(" ".to_owned()), "where: the expression is empty"),
        (|of| of.events = vec!["a".to_owned(), String::new()], "one of the event names is empty"),
        (
            |of| (of.limit, of.mode) = (Some(5), FetchMode::Parallel { max_workers: None }),
            "a limit cannot be combined with parallel mode; leave out one of them",
        ),
    ];
    for (change, reason) in table {
        assert_eq!(of(change), Err(reason.to_owned()));
    }
    let many = of(|of| of.events = (0..2_000).map(|number| format!("event {number}")).collect()).unwrap_err();
    assert!(many.contains("a request can hold"), "{many}");
}

#[test]
fn event_names_fit_into_the_address_of_a_request() {
    // Each name begins with a number of five digits; its quotes and the comma take 9 bytes.
    for (rest, bytes) in
        [("", 0), (" x-_.*", 6), ("/", 3), ("é", 6), ("日", 9), ("😀", 12), ("\"", 6), ("\\", 6), ("\n", 4)]
    {
        let rest = rest.repeat(10);
        let most = (EVENT_NAMES_BYTES_MAX - 3) / (14 + 10 * bytes);
        for (count, fits) in [(1, true), (most, true), (most + 1, false), (2 * most, false)] {
            let case = format!("{count} names with {rest:?}");
            let names: Vec<String> = (0..count).map(|number| format!("{number:05}{rest}")).collect();
            let json = serde_json::json!(names).to_string();
            let encoded: usize = form_urlencoded::byte_serialize(json.as_bytes()).map(str::len).sum();
            assert_eq!(encoded_bytes(&names), encoded, "{case}");
            assert_eq!(encoded, 3 + count * (14 + 10 * bytes), "{case}");
            let result = EventArguments { events: names, ..arguments("today", "today") }.check();
            assert_eq!(result.is_ok(), fits, "{case}: {result:?}");
        }
    }
}

#[test]
fn queries_are_compared_without_their_days() {
    let base = query("7d", "today").unwrap();
    assert_eq!(base.difference(&query("2d", "yesterday").unwrap()), None);
    let mut named = arguments("7d", "today");
    named.events = vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
    let named = named.query(ProjectTimeZone::utc(), date(2026, 11, 26)).unwrap();
    assert_eq!(named.events, ["a", "b"]);
    assert_eq!(base.difference(&named), Some("event names"));
    for (other, part) in [
        (EventQuery { filter: Some("x".to_owned()), ..base.clone() }, "where expression"),
        (EventQuery { limit: Some(3), ..base.clone() }, "limit"),
        (EventQuery { dedupe: Dedupe::None, ..base.clone() }, "deduplication"),
    ] {
        assert_eq!(base.difference(&other), Some(part));
    }
    let text = serde_json::to_string(&named).unwrap();
    assert_eq!(serde_json::from_str::<EventQuery>(&text).unwrap(), named);
}
