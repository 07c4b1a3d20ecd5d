use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::Simulator;
use crate::body_fault::BodyFault;
use crate::config::{Quota, SimulatorConfig};
use crate::event_options::{EventClock, Revision, RowOrder};
use crate::message::{Reply, Request};
use crate::profiles::OddProfile;

const NOON: Duration = Duration::from_secs(43_200);

fn request(params: &str) -> Request {
    Request {
        path: "/api/query/engage".to_owned(),
        query: format!("project_id=12345&{params}"),
        authorization: Some("Basic simulator:simulator-secret".to_owned()),
        ..Request::default()
    }
}

fn ask(simulator: &mut Simulator, params: &str, now: Duration) -> Reply {
    let reply = simulator.handle(&request(params), now);
    simulator.finish(reply.ticket);
    reply
}

fn field(reply: &Reply, name: &str) -> Value {
    serde_json::from_slice::<Value>(&reply.body).expect("JSON")[name].clone()
}

fn session(reply: &Reply) -> String {
    field(reply, "session_id").as_str().expect("a session_id").to_owned()
}

#[test]
fn virtual_time_rolls_the_window_and_ages_sessions() {
    let config = SimulatorConfig {
        quota: Some(Quota { requests: 1, window: Duration::from_secs(60) }),
        session_max_age: Some(Duration::from_secs(90)),
        ..SimulatorConfig::default().with_profiles(2_000)
    };
    let mut simulator = Simulator::new(config);
    let first = ask(&mut simulator, "", NOON);
    let page = format!("page=1&session_id={}", session(&first));
    let at = |seconds| NOON + Duration::from_secs(seconds);
    assert_eq!(ask(&mut simulator, &page, at(59)).status, 200);
    assert_eq!(ask(&mut simulator, "", at(59)).status, 429);
    assert_eq!(ask(&mut simulator, "", at(60)).status, 200);
    assert_eq!(ask(&mut simulator, &page, at(89)).status, 200);
    assert_eq!(ask(&mut simulator, &page, at(90)).status, 400);
}

#[test]
fn a_request_is_in_flight_until_finished() {
    let config = SimulatorConfig { concurrency: Some(1), ..SimulatorConfig::unlimited() };
    let mut simulator = Simulator::new(config);
    let first = simulator.handle(&request("page_size=1"), NOON);
    assert_eq!(ask(&mut simulator, "page_size=1", NOON).status, 429);
    simulator.finish(first.ticket);
    simulator.finish(first.ticket);
    assert_eq!(ask(&mut simulator, "page_size=1", NOON).status, 200);
    assert_eq!(simulator.stats().max_concurrency, 1);
}

#[test]
fn the_same_calls_give_the_same_replies() {
    let trace = |seed| {
        let faults = ["probability=0.3 status=500", "probability=0.2 cut=50", "every=3 delay=1s"];
        let config = SimulatorConfig {
            seed,
            page_size: 3,
            jitter: Duration::from_millis(500),
            faults: faults.map(|fault| fault.parse().expect("a fault")).to_vec(),
            odd_profiles: OddProfile::spread(0, 2),
            copy_rate: 0.1,
            ..SimulatorConfig::unlimited().with_profiles(100)
        };
        let mut simulator = Simulator::new(config);
        let session = loop {
            let first = ask(&mut simulator, "", NOON);
            if first.status == 200 && first.fault.is_none() {
                break session(&first);
            }
        };
        (0..40).map(|page| ask(&mut simulator, &format!("page={page}&session_id={session}"), NOON)).collect::<Vec<_>>()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
    let delays: Vec<_> = trace(3).iter().map(|reply| reply.delay).collect();
    assert!(delays.iter().all(|delay| *delay < Duration::from_millis(1_500)));
    assert!(delays.iter().any(|delay| *delay > Duration::from_secs(1)));
}

#[test]
fn ten_million_profiles_start_instantly_without_extra_memory() {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(10_000_000));
    let first = ask(&mut simulator, "", NOON);
    assert_eq!(field(&first, "total"), 10_000_000);
    let last = ask(&mut simulator, &format!("page=9999&session_id={}", session(&first)), NOON);
    assert_eq!(field(&last, "results").as_array().map(Vec::len), Some(1_000));
    let beyond = ask(&mut simulator, &format!("page={}&session_id={}", u64::MAX, session(&first)), NOON);
    assert_eq!(field(&beyond, "results").as_array().map(Vec::len), Some(0));
}

#[test]
fn only_the_latest_sessions_are_kept() {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(2));
    let first = format!("page=1&session_id={}", session(&ask(&mut simulator, "page_size=1", NOON)));
    for _ in 0..999 {
        assert_eq!(ask(&mut simulator, "page_size=1", NOON).status, 200);
    }
    assert_eq!(ask(&mut simulator, &first, NOON).status, 200);
    ask(&mut simulator, "page_size=1", NOON);
    assert_eq!(ask(&mut simulator, &first, NOON).status, 400);
}

#[test]
fn an_empty_project_has_an_empty_page() {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(0));
    let first = ask(&mut simulator, "", NOON);
    assert_eq!((field(&first, "total"), field(&first, "results")), (0.into(), Value::Array(Vec::new())));
    assert_eq!(ask(&mut simulator, &format!("page=1&session_id={}", session(&first)), NOON).status, 200);
}

#[test]
fn delivery_faults_are_returned_to_the_caller() {
    let reply = |fault: &str| {
        let config = SimulatorConfig::unlimited().with_profiles(10).with_fault(fault.parse().expect("a fault"));
        ask(&mut Simulator::new(config), "", NOON)
    };
    let first_byte = reply("stall=0 for=3s");
    assert_eq!((first_byte.delay, first_byte.fault), (Duration::from_secs(3), None));
    let pause = Duration::from_secs(3);
    assert_eq!(reply("stall=5 for=3s").fault, Some(BodyFault::Stall { after: 5, pause }));
    assert_eq!(reply("reset").fault, Some(BodyFault::Reset));
}

#[test]
fn garbage_never_panics() {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(3));
    let bodies: [&[u8]; 6] = [b"\xff\xfe", b"{", b"{\"page\": null}", b"{\"page\": {}}", b"%zz=%", b"\"text\""];
    for body in bodies {
        let request = Request { method: Method::POST, body: Bytes::copy_from_slice(body), ..request("") };
        let reply = simulator.handle(&request, NOON);
        assert!(matches!(reply.status.as_u16(), 200 | 400), "{body:?}");
    }
    let huge = "1".repeat(400);
    for params in [format!("page={huge}"), format!("where={huge}%20%3E%20-{huge}"), "behaviors=[1]".to_owned()] {
        assert!(matches!(ask(&mut simulator, &params, NOON).status.as_u16(), 200 | 400), "{params}");
    }
    let put = Request { method: Method::PUT, ..request("") };
    assert_eq!(simulator.handle(&put, NOON).status, 405);
}

/// Returns the last-seen time of every profile on a page.
fn last_seen(reply: &Reply) -> Vec<String> {
    let results = field(reply, "results");
    let times = results.as_array().expect("a list").iter().map(|row| row["$properties"]["$last_seen"].as_str());
    times.map(|time| time.expect("a time").to_owned()).collect()
}

fn at(reference_time: &str) -> SimulatorConfig {
    let reference_time = reference_time.parse().expect("a time");
    SimulatorConfig { reference_time, page_size: 500, ..SimulatorConfig::unlimited().with_profiles(500) }
}

#[test]
fn generated_times_end_at_the_reference_time() {
    for (reference, week_before, latest) in [
        ("2026-09-20T12:00:00Z", "2026-09-13T12:00:00", "2026-09-20T12:00:00"),
        ("2030-03-01T00:00:05Z", "2030-02-22T00:00:05", "2030-03-01T00:00:05"),
        ("1980-01-01T00:00:00Z", "1979-12-25T00:00:00", "1980-01-01T00:00:00"),
        // A machine without a clock, and one with a broken clock.
        ("1970-01-01T00:00:00Z", "1979-12-25T00:00:00", "1980-01-01T00:00:00"),
        ("9999-12-30T00:00:00Z", "9998-12-24T23:59:59", "9998-12-31T23:59:59"),
    ] {
        let times = last_seen(&ask(&mut Simulator::new(at(reference)), "", NOON));
        assert!(
            times.iter().all(|time| time.len() == latest.len() && time.as_str() <= latest),
            "{reference}: {times:?}"
        );
        assert!(times.iter().any(|time| time.as_str() > week_before), "{reference}: {times:?}");
        let groups = last_seen(&ask(&mut Simulator::new(at(reference)), "data_group_id=1", NOON));
        assert!(groups.iter().all(|time| time.as_str() <= latest), "{reference}: {groups:?}");
    }
    let default = SimulatorConfig { page_size: 500, ..SimulatorConfig::unlimited().with_profiles(500) };
    let (default, named) = (&mut Simulator::new(default), &mut Simulator::new(at("2026-09-20T12:00:00Z")));
    assert_eq!(field(&ask(default, "", NOON), "results"), field(&ask(named, "", NOON), "results"));
}

#[test]
fn users_are_seen_again_while_the_server_runs() {
    let config = SimulatorConfig { active_per_minute: 60, ..at("2026-09-20T12:00:00Z") };
    let mut simulator = Simulator::new(config);
    let first = ask(&mut simulator, "", Duration::ZERO);
    let after = Duration::from_secs(90);
    let second = ask(&mut simulator, "", after);
    let (before, now) = (last_seen(&first), last_seen(&second));
    let changed: Vec<&String> = before.iter().zip(&now).filter(|(old, new)| old != new).map(|(_, new)| new).collect();
    assert!((60..=90).contains(&changed.len()), "{changed:?}");
    assert!(changed.iter().all(|time| ("2026-09-20T12:00:01"..="2026-09-20T12:01:30").contains(&time.as_str())));
    // A filter sees them, as `--since last` needs, and an earlier session keeps its profiles.
    let recent = "where=properties[\"$last_seen\"]>=\"2026-09-20T12:00:01\"";
    assert_eq!(last_seen(&ask(&mut simulator, recent, after)).len(), changed.len());
    let again = ask(&mut simulator, &format!("page=0&session_id={}", session(&first)), after);
    assert_eq!(last_seen(&again), before);
    // Groups and the records of a file do not change.
    let groups = |simulator: &mut Simulator, now| last_seen(&ask(simulator, "data_group_id=1", now));
    assert_eq!(groups(&mut simulator, after), groups(&mut simulator, 2 * after));
}

fn export(days: (&str, &str)) -> Request {
    let query = format!("project_id=12345&from_date={}&to_date={}&time_in_ms=true", days.0, days.1);
    Request { path: "/api/2.0/export".to_owned(), query, ..request("") }
}

fn rows(simulator: &mut Simulator, days: (&str, &str), now: Duration) -> Vec<Vec<u8>> {
    let reply = simulator.handle(&export(days), now);
    simulator.finish(reply.ticket);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.whole_body().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn events_occur_and_arrive_while_virtual_time_passes() {
    let mut config = SimulatorConfig::unlimited().with_profiles(2_000);
    config.events.clock = EventClock::Running;
    let mut simulator = Simulator::new(config.clone());
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let today = ("2026-09-20", "2026-09-20");
    let counts = [0, 1, 6, 11, 140].map(|passed| rows(&mut simulator, today, hours(passed)).len());
    assert!(counts.is_sorted_by(|first, second| first < second), "{counts:?}");
    // The first second of the next day in the project.
    let tomorrow = ("2026-09-21", "2026-09-21");
    let before = hours(12) - Duration::from_secs(1);
    let mut simulator = Simulator::new(config.clone());
    assert_eq!(simulator.handle(&export(tomorrow), before).status, 400);
    assert_eq!(simulator.handle(&export(tomorrow), hours(12)).status, 200);
    // Without the clock, nothing changes.
    config.events.clock = EventClock::Frozen;
    let mut simulator = Simulator::new(config);
    assert_eq!(rows(&mut simulator, today, hours(0)), rows(&mut simulator, today, hours(140)));
}

#[test]
fn the_same_exports_give_the_same_replies() {
    let trace = |seed| {
        let mut config = SimulatorConfig { seed, ..SimulatorConfig::unlimited().with_profiles(100) };
        config.events.order = RowOrder::Shuffled;
        config.events.late_rows = 0.2;
        config.events.revision = Revision::OnRefetch;
        let faults = ["probability=0.3 status=500", "every=4 cut=50", "every=5 terminated-early rows=2"];
        config.export_faults = faults.map(|fault| fault.parse().expect("a fault")).to_vec();
        let mut simulator = Simulator::new(config);
        (0..12).map(|_| simulator.handle(&export(("2026-08-01", "2026-08-05")), NOON)).collect::<Vec<_>>()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
    let cut = trace(3).into_iter().find(|reply| reply.fault.is_some()).expect("a cut");
    assert!(matches!(cut.fault, Some(BodyFault::Cut { after: 50, .. })));
}

#[test]
fn garbage_never_makes_an_export_panic() {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(3));
    for query in [
        "from_date=-9999-01-01&to_date=9999-12-31",
        "from_date=2000-01-01&to_date=2026-09-20&limit=99999999999999999999",
        "from_date=2026-09-01&to_date=2026-09-01&where=%FF",
        "from_date=2026-09-01&to_date=2026-09-01&event=%5B1%5D",
        "from_date=2000-01-01&to_date=2000-01-02",
        "from_date=%00&to_date=%00",
    ] {
        let request = Request { query: format!("project_id=12345&{query}"), ..export(("", "")) };
        let reply = simulator.handle(&request, NOON);
        assert!(matches!(reply.status.as_u16(), 200 | 400), "{query}");
        reply.whole_body();
    }
}
