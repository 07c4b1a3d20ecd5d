//! `mp_funnel` against a search for every possible path of every user.

use super::testing::{DAY, Draw, Event, SECOND, create, database, events, fill, percent, rows};

/// The arguments of a funnel, in microseconds.
struct Funnel {
    steps: Vec<&'static str>,
    within: i64,
    grace: i64,
}

impl Funnel {
    fn random(seed: u64) -> Self {
        let mut draw = Draw(seed ^ 0xf00d);
        let steps = draw.one_of(&[
            &["a", "b", "c", "d"][..],
            &["b", "a"],
            &["a"],
            &["d", "c", "b"],
            &["a", "missing", "b"],
            &["a", "b", "$identify"],
        ]);
        Self {
            steps: steps.to_vec(),
            within: draw.one_of(&[0, SECOND, 600 * SECOND, DAY, 7 * DAY, 90 * DAY]),
            grace: draw.one_of(&[0, SECOND, 2 * SECOND, 2 * SECOND, 600 * SECOND]),
        }
    }

    fn sql(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(|step| format!("'{step}'")).collect();
        let (within, grace) = (self.within, self.grace);
        let steps = steps.join(", ");
        format!("FROM mp_funnel([{steps}], to_microseconds({within}), grace := to_microseconds({grace}))")
    }

    fn rows(&self, reached: &[usize]) -> Vec<String> {
        let users = |step: usize| reached.iter().filter(|own| **own > step).count() as u64;
        let row = |step: usize| {
            let (own, first, before) = (users(step), users(0), users(step.saturating_sub(1)));
            let name = self.steps[step];
            format!("{}|{name}|{own}|{}|{}", step + 1, percent(own, first), percent(own, before))
        };
        (0..self.steps.len()).map(row).collect()
    }
}

fn users(events: &[Event]) -> Vec<Vec<&Event>> {
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).filter(|id| !id.is_empty()).collect();
    let of = |id: &str| {
        let mut own: Vec<&Event> = events.iter().filter(|event| event.id == id).collect();
        own.sort_by_key(|event| event.at);
        own
    };
    ids.into_iter().map(of).collect()
}

/// Returns the number of steps on the longest path that continues after the event at `previous`.
fn longest(funnel: &Funnel, own: &[&Event], step: usize, previous: i64, until: i64) -> usize {
    let Some(name) = funnel.steps.get(step) else { return step };
    let next =
        own.iter().filter(|event| event.name == *name && event.at >= previous - funnel.grace && event.at <= until);
    next.map(|event| longest(funnel, own, step + 1, event.at, until)).max().unwrap_or(0).max(step)
}

#[test]
fn a_user_reaches_a_step_if_some_path_does() {
    let connection = database(&[]);
    for seed in 0..120 {
        let events = events(seed);
        fill(&connection, &events);
        let funnel = Funnel::random(seed);
        let reached: Vec<usize> = users(&events)
            .iter()
            .filter_map(|own| {
                let entry = own.iter().find(|event| event.name == funnel.steps[0])?.at;
                Some(longest(&funnel, own, 1, entry, entry + funnel.within))
            })
            .collect();
        assert_eq!(rows(&connection, &funnel.sql()), funnel.rows(&reached), "seed {seed}: {events:?}");
    }
}

/// With the same event in several steps, each step takes the first event that is left.
#[test]
fn no_event_counts_for_two_steps() {
    let connection = database(&[]);
    for seed in 0..120 {
        let events = events(seed);
        fill(&connection, &events);
        let mut funnel = Funnel::random(seed);
        funnel.steps = Draw(seed)
            .one_of(&[&["b", "b"][..], &["b", "b", "b", "b"], &["a", "b", "a"], &["b", "a", "b", "b"]])
            .to_vec();
        let mut reached = Vec::new();
        for own in users(&events) {
            let mut left = own.clone();
            let Some(first) = left.iter().position(|event| event.name == funnel.steps[0]) else { continue };
            let entry = left.remove(first).at;
            let (mut previous, mut step) = (entry, 1);
            while let Some(name) = funnel.steps.get(step) {
                let fits = |event: &&Event| {
                    event.name == *name && event.at >= previous - funnel.grace && event.at <= entry + funnel.within
                };
                let Some(position) = left.iter().position(fits) else { break };
                previous = left.remove(position).at;
                step += 1;
            }
            reached.push(step);
        }
        assert_eq!(rows(&connection, &funnel.sql()), funnel.rows(&reached), "seed {seed}: {events:?}");
    }
}

fn event(name: &'static str, minutes: i64) -> Event {
    Event { name, at: 20_000 * DAY + minutes * 60 * SECOND, id: "u1" }
}

/// The examples in Mixpanel's documentation (docs/analysis.md#funnels).
#[test]
fn examples_of_mixpanel() {
    let reached = |events: &[Event], steps: &str, within: &str| {
        let connection = database(events);
        let sql = format!("SELECT sum(users) FROM mp_funnel([{steps}], INTERVAL {within})");
        rows(&connection, &sql)[0].parse::<u32>().unwrap()
    };
    // The window starts with the first A; the second does not restart it.
    let late = [event("a", 0), event("a", 30), event("b", 45), event("c", 75)];
    assert_eq!(reached(&late, "'a','b','c'", "1 HOUR"), 2);
    // Other events in between do not matter, nor does a D before the C.
    let five = "'a','b','c','d','e'";
    let of = |names: &[&'static str]| {
        let events: Vec<Event> = (0..).zip(names).map(|(minute, name)| event(name, minute)).collect();
        reached(&events, five, "1 DAY")
    };
    assert_eq!(of(&["a", "b", "c", "d", "e"]), 5);
    assert_eq!(of(&["a", "b", "f", "c", "d", "e"]), 5);
    assert_eq!(of(&["a", "b", "d", "c", "d", "e"]), 5);
    assert_eq!(of(&["a", "b", "c", "e"]), 3);
    // Only the first entry counts: its window has ended.
    assert_eq!(reached(&[event("a", 0), event("a", 90), event("b", 95)], "'a','b'", "1 HOUR"), 1);
    // Within two seconds, the order does not matter.
    let swapped = |seconds: i64| [Event { at: event("a", 0).at - seconds * SECOND, ..event("b", 0) }, event("a", 0)];
    assert_eq!(reached(&swapped(2), "'a','b'", "1 HOUR"), 2);
    assert_eq!(reached(&swapped(3), "'a','b'", "1 HOUR"), 1);
}

#[test]
fn options() {
    let events = [event("a", 0), event("b", 1), event("a", 3 * 24 * 60), event("b", 3 * 24 * 60 + 1)];
    let connection = database(&[]);
    create(&connection, "other", &events);
    let users = |arguments: &str| {
        rows(
            &connection,
            &format!("SELECT string_agg(users, ' ' ORDER BY step) FROM mp_funnel(['a', 'b'], {arguments})"),
        )
        .remove(0)
    };
    assert_eq!(users("INTERVAL 1 DAY"), "0 0", "the table `events` is empty");
    assert_eq!(users("INTERVAL 1 DAY, source := 'other'"), "1 1");
    assert_eq!(users("'1 day', source := 'other'"), "1 1");
    let start = super::testing::date(20_000);
    for (days, expected) in [
        (format!("from_date := '{start}', to_date := '{start}'"), "1 1"),
        (format!("from_date := DATE '{start}' + 1, to_date := DATE '{start}' + 2"), "0 0"),
        (format!("from_date := DATE '{start}' + 1"), "1 1"),
        (format!("to_date := DATE '{start}' - 1"), "0 0"),
    ] {
        assert_eq!(
            users(&format!("INTERVAL 30 SECOND, {days}, source := 'other'")).split(' ').next(),
            expected.split(' ').next(),
            "{days}"
        );
        assert_eq!(users(&format!("INTERVAL 1 HOUR, {days}, source := 'other'")), expected, "{days}");
    }
    assert!(rows(&connection, "FROM mp_funnel([], INTERVAL 1 DAY)").is_empty());
}
