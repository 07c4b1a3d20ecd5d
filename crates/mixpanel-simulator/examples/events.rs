//! Measures how fast events are generated: as lines, counted only, and as the body of an export with and without
//! compression.
//!
//! `cargo run --release -p mixpanel-simulator --example events [PEOPLE] [EVENTS PER DAY] [DAYS]`; 100,000 people with as many
//! events on each of 20 days by default.
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::io::Write as _;
use std::time::{Duration, Instant};

use mixpanel_simulator::{EventOptions, Events, Request, Simulator, SimulatorConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let argument = |number: usize, default: u64| {
        std::env::args().nth(number).map_or(Ok(default), |text| text.replace('_', "").parse::<u64>())
    };
    let (people, per_day, days) = (argument(1, 100_000)?, argument(2, 100_000)?, argument(3, 20)?);
    let options = EventOptions { per_day: Some(per_day), ..EventOptions::default() };
    let config = SimulatorConfig::unlimited().with_profiles(people).with_events(options);
    let events = Events::new(&config);
    let last = events.today().yesterday()?;
    let first = last.checked_sub(jiff::Span::new().days(i64::try_from(days)? - 1))?;
    let mut out = std::io::stdout();

    let started = Instant::now();
    let count: u64 =
        first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).map(|day| events.count(day)).sum();
    let took = started.elapsed();
    writeln!(out, "counted: {count} events in {:.3} s, {:.1} million/s", took.as_secs_f64(), millions(count, took))?;

    for (name, level, accept) in
        [("plain", 1, None), ("gzip without compression", 0, Some("gzip")), ("gzip level 1", 1, Some("gzip"))]
    {
        let mut config = config.clone();
        config.events.gzip_level = level;
        let mut simulator = Simulator::new(config);
        let request = Request {
            path: "/api/2.0/export".to_owned(),
            query: format!("project_id=12345&from_date={first}&to_date={last}&time_in_ms=true"),
            authorization: Some("Basic simulator:simulator-secret".to_owned()),
            accept_encoding: accept.map(str::to_owned),
            ..Request::default()
        };
        let started = Instant::now();
        let reply = simulator.handle(&request, Duration::ZERO);
        let body = reply.export.ok_or("no events")?;
        let mut chunks = body.chunks();
        let mut sent = 0;
        for chunk in chunks.by_ref() {
            sent += chunk.len() as u64;
        }
        let (took, rows) = (started.elapsed(), chunks.rows());
        let plain = chunks.plain_bytes();
        writeln!(
            out,
            "{name}: {rows} events, {} bytes each, sent {:.1} MB in {:.3} s, {:.0} MB/s of JSON lines, {:.2} million events/s",
            plain / rows.max(1),
            sent as f64 / 1e6,
            took.as_secs_f64(),
            millions(plain, took),
            millions(rows, took),
        )?;
    }
    Ok(())
}

fn millions(number: u64, took: Duration) -> f64 {
    number as f64 / 1e6 / took.as_secs_f64()
}
