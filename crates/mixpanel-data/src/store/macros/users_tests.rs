//! The macros about the activity of users, against loops over all events.

use std::collections::{BTreeMap, BTreeSet};

use super::testing::{
    DAY, Draw, Event, SECOND, by_user, database, date, day_of, events, fill, float, moved, percent, period_of, rows,
};

const UNITS: [&str; 3] = ["day", "week", "month"];

#[test]
fn active_users() {
    let connection = database(&[]);
    for seed in 0..100 {
        let events = events(seed);
        fill(&connection, &events);
        let active: BTreeSet<(i32, &str)> = by_user(&events, |_| true)
            .iter()
            .flat_map(|(id, times)| times.iter().map(|at| (day_of(*at), *id)))
            .collect();
        let days = active
            .first()
            .map(|(day, _)| *day)
            .into_iter()
            .flat_map(|first| first..=active.last().expect("it has a first").0);
        let expected = days.map(|day| {
            let within = |days: i32| {
                let ids: BTreeSet<_> =
                    active.iter().filter(|(own, _)| *own > day - days && *own <= day).map(|(_, id)| id).collect();
                ids.len() as u64
            };
            let (dau, mau) = (within(1), within(30));
            format!("{}|{dau}|{}|{mau}|{}", date(day), within(7), percent(dau, mau))
        });
        assert_eq!(
            rows(&connection, "FROM mp_active_users()"),
            expected.collect::<Vec<_>>(),
            "seed {seed}: {events:?}"
        );
    }
}

/// The periods in which each user is active.
fn active_periods(events: &[Event], unit: &str) -> BTreeMap<String, BTreeSet<i32>> {
    let users = by_user(events, |_| true).into_iter();
    users.map(|(id, times)| (id.to_owned(), times.iter().map(|at| period_of(unit, *at)).collect())).collect()
}

fn periods(unit: &str, range: Option<(i32, i32)>) -> Vec<i32> {
    let Some((first, last)) = range else { return Vec::new() };
    std::iter::successors(Some(first), |day| Some(moved(unit, *day, 1))).take_while(|day| *day <= last).collect()
}

/// The numbers of new, retained, resurrected and dormant users of a period.
fn lifecycle(active: &BTreeMap<String, BTreeSet<i32>>, unit: &str, period: i32) -> [u64; 4] {
    let before = moved(unit, period, -1);
    let mut counts = [0; 4];
    for own in active.values() {
        let (is_active, was_active) = (own.contains(&period), own.contains(&before));
        let was_ever = own.range(..period).next().is_some();
        match (is_active, was_active, was_ever) {
            (true, _, false) => counts[0] += 1,
            (true, true, _) => counts[1] += 1,
            (true, false, true) => counts[2] += 1,
            (false, true, _) => counts[3] += 1,
            _ => {}
        }
    }
    counts
}

#[test]
fn lifecycle_of_users() {
    let connection = database(&[]);
    for seed in 0..100 {
        let events = events(seed);
        fill(&connection, &events);
        for unit in UNITS {
            let active = active_periods(&events, unit);
            let all = || active.values().flatten().copied();
            let periods = periods(unit, all().min().zip(all().max()));
            let expected = periods.into_iter().map(|period| {
                let [new, retained, resurrected, dormant] = lifecycle(&active, unit, period);
                let total = new + retained + resurrected;
                format!("{}|{total}|{new}|{retained}|{resurrected}|{dormant}", date(period))
            });
            let found = rows(&connection, &format!("FROM mp_lifecycle(unit := '{unit}')"));
            assert_eq!(found, expected.collect::<Vec<_>>(), "seed {seed}, {unit}: {events:?}");
        }
    }
}

#[test]
fn growth() {
    let connection = database(&[]);
    for seed in 0..100 {
        let events = events(seed);
        fill(&connection, &events);
        for unit in UNITS {
            let active = active_periods(&events, unit);
            let all = || events.iter().map(|event| period_of(unit, event.at));
            let (mut total, mut previous) = (0, 0);
            let mut expected = Vec::new();
            for period in periods(unit, all().min().zip(all().max())) {
                let [new, retained, resurrected, dormant] = lifecycle(&active, unit, period);
                let (own, count) = (all().filter(|own| *own == period).count(), new + retained + resurrected);
                total += new;
                let change = match (expected.is_empty(), previous) {
                    (true, _) | (_, 0) => "-".to_owned(),
                    (_, previous) => {
                        float((10_000.0 * (count as f64 - previous as f64) / previous as f64).round() / 100.0)
                    }
                };
                let ratio = match dormant {
                    0 => "-".to_owned(),
                    _ => float(((new + resurrected) as f64 / dormant as f64 * 100.0).round() / 100.0),
                };
                expected.push(format!("{}|{own}|{count}|{new}|{total}|{change}|{ratio}", date(period)));
                previous = count;
            }
            let found = rows(&connection, &format!("FROM mp_growth(unit := '{unit}')"));
            assert_eq!(found, expected, "seed {seed}, {unit}: {events:?}");
        }
    }
}

#[test]
fn sessions() {
    let connection = database(&[]);
    for seed in 0..100 {
        let events = events(seed);
        fill(&connection, &events);
        let mut draw = Draw(seed);
        let (gap, at_midnight) = (draw.one_of(&[SECOND, 600 * SECOND, 1_800 * SECOND, DAY]), draw.below(3) > 0);
        let mut expected = Vec::new();
        let ids: BTreeSet<_> = events.iter().map(|event| event.id).filter(|id| !id.is_empty()).collect();
        for id in ids {
            let is_own = |event: &&Event| event.id == id && event.name != "$identify";
            let mut own: Vec<_> = events.iter().filter(is_own).map(|event| (event.at, event.name)).collect();
            own.sort_unstable();
            let mut sessions: Vec<Vec<(i64, &str)>> = Vec::new();
            for (at, name) in own {
                let last = sessions.last().and_then(|session| session.last()).map(|(at, _)| *at);
                match last {
                    Some(last) if at - last < gap && !(at_midnight && day_of(at) != day_of(last)) => {
                        sessions.last_mut().expect("it has a last event").push((at, name));
                    }
                    _ => sessions.push(vec![(at, name)]),
                }
            }
            for (number, session) in (1..).zip(&sessions) {
                let (first, last) = (session[0], session[session.len() - 1]);
                let duration = last.0 - first.0;
                let (events, first_name, last_name) = (session.len(), first.1, last.1);
                expected
                    .push(format!("{id}|{number}|{}|{}|{duration}|{events}|{first_name}|{last_name}", first.0, last.0));
            }
        }
        let sql = format!(
            "SELECT * REPLACE (epoch_us(started_at) AS started_at, epoch_us(ended_at) AS ended_at,
             (duration_seconds * 1e6)::BIGINT AS duration_seconds)
             FROM mp_sessions(gap := to_microseconds({gap}), at_midnight := {at_midnight}) ORDER BY distinct_id, session"
        );
        assert_eq!(rows(&connection, &sql), expected, "seed {seed}: {events:?}");
    }
}

/// The arguments of a retention query. An absent event is any event.
#[derive(Debug)]
struct Retention {
    born: Option<&'static str>,
    returns: Option<&'static str>,
    unit: &'static str,
    n: i32,
    is_calendar: bool,
    is_each: bool,
}

impl Retention {
    fn random(seed: u64) -> Self {
        let mut draw = Draw(seed ^ 0xbeef);
        Self {
            born: draw.one_of(&[Some("a"), Some("b"), None]),
            returns: draw.one_of(&[Some("b"), Some("c"), None]),
            unit: draw.one_of(&UNITS),
            n: draw.one_of(&[0, 1, 4, 8]),
            is_calendar: draw.below(2) == 0,
            is_each: draw.below(2) == 0,
        }
    }

    fn sql(&self) -> String {
        let text = |name: Option<&str>| name.map_or("NULL".to_owned(), |name| format!("'{name}'"));
        let Self { unit, n, .. } = self;
        format!(
            "FROM mp_retention({}, {}, unit := '{unit}', n := {n}, mode := '{}', cohorts := '{}')",
            text(self.born),
            text(self.returns),
            if self.is_calendar { "calendar" } else { "rolling" },
            if self.is_each { "each" } else { "first" },
        )
    }

    fn length(&self) -> i64 {
        DAY * match self.unit {
            "day" => 1,
            "week" => 7,
            _ => 30,
        }
    }

    /// Returns the period in which a user who was born at `born` is at `at`.
    fn period(&self, born: i64, at: i64) -> i32 {
        if !self.is_calendar {
            return i32::try_from((at - born) / self.length()).unwrap();
        }
        let (cohort, own) = (period_of(self.unit, born), period_of(self.unit, at));
        (0..).find(|number| moved(self.unit, cohort, *number) == own).expect("it is not before the cohort")
    }

    fn expected(&self, events: &[Event]) -> Vec<String> {
        let is = |wanted: Option<&str>, event: &Event| wanted.is_none_or(|name| name == event.name);
        // The time of birth of every user in each cohort.
        let mut births: BTreeMap<(i32, &str), i64> = BTreeMap::new();
        for (id, times) in by_user(events, |event| is(self.born, event)) {
            let shown = if self.is_each { &times[..] } else { &times[..1] };
            for at in shown {
                births.entry((period_of(self.unit, *at), id)).or_insert(*at);
            }
        }
        let end = events.iter().map(|event| event.at).max().unwrap_or_default();
        let cohorts: BTreeSet<i32> = births.keys().map(|(cohort, _)| *cohort).collect();
        let mut rows = Vec::new();
        for cohort in cohorts {
            let members: Vec<_> = births.iter().filter(|((own, _), _)| *own == cohort).collect();
            let returned = |is_in: &dyn Fn(i32) -> bool| {
                let came_back = |id: &str, born: i64| {
                    events.iter().any(|event| {
                        let is_later = event.at > born || (event.at == born && !is(self.born, event));
                        event.id == id && is(self.returns, event) && is_later && is_in(self.period(born, event.at))
                    })
                };
                members.iter().filter(|((_, id), born)| came_back(id, **born)).count() as u64
            };
            let size = members.len() as u64;
            for period in 0..=self.n {
                let (on, later) = (returned(&|own| own == period), returned(&|own| own >= period));
                let ends = match self.is_calendar {
                    true => i64::from(moved(self.unit, cohort, period + 1)) * DAY,
                    false => i64::from(moved(self.unit, cohort, 1)) * DAY + i64::from(period + 1) * self.length(),
                };
                let complete = ends <= end;
                rows.push(format!(
                    "{}|{size}|{period}|{on}|{}|{later}|{}|{complete}",
                    date(cohort),
                    percent(on, size),
                    percent(later, size)
                ));
            }
        }
        rows
    }
}

#[test]
fn retention() {
    let connection = database(&[]);
    for seed in 0..300 {
        let events = events(seed);
        fill(&connection, &events);
        let retention = Retention::random(seed);
        let found = rows(&connection, &retention.sql());
        assert_eq!(found, retention.expected(&events), "seed {seed}, {retention:?}: {events:?}");
    }
}
