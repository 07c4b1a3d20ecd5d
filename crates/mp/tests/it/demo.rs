//! `mp demo`.

use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::Home;

#[test]
fn demo_prints_its_story_and_leaves_no_files() {
    let home = Home::new();
    let run = home.run(&["demo", "--fast"]).exits(0);
    for text in [
        "2,000 profiles",
        "One page at a time:",
        "Up to five pages at a time:",
        "The two tables hold the same profiles.",
        "run `mp demo` to compare",
        "enterprise",
        "country",
        "signups",
        "The events of the same people in 42 days: ",
        "pct_of_first",
        "week_3",
    ] {
        assert!(run.stdout.contains(text), "no {text:?} in:\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("times as fast"), "{}", run.stdout);
    assert!(run.stderr.contains("page 9: "), "{}", run.stderr);
    let left: Vec<_> =
        std::fs::read_dir(home.path()).expect("the home").map(|entry| entry.expect("an entry").path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn demo_report_is_available_as_json() {
    let report = Home::new().run(&["demo", "--fast", "-q", "--format", "json"]).exits(0);
    assert_eq!(report.stderr, "");
    let report = report.json();
    assert_eq!(report["profiles"], 2_000);
    assert!(report["events"].as_u64() > Some(1_000), "{report}");
    let number = |field: &str| report[field].as_f64().expect("a number");
    assert!(number("sequential_seconds") > 0.0 && number("parallel_seconds") > 0.0, "{report}");
    assert!(report["speedup"].is_null(), "the two times of a fast demo cannot be compared: {report}");
    assert!(
        report["queries"].as_array().is_some_and(|queries| queries.iter().all(|query| query["rows"][0].is_object()))
    );
}

#[test]
fn the_data_of_the_demo_ends_now_or_on_a_given_day() {
    let months = |options: &[&str]| {
        let run = Home::new().run(&[&["demo", "--fast", "-q", "--format", "json"], options].concat()).exits(0);
        let rows = run.json()["queries"][2]["rows"].clone();
        assert!(rows[0]["seen_last_week"].as_u64() > Some(0), "{rows}");
        rows[0]["month"].as_str().expect("a month").to_owned()
    };
    for (day, month) in [("2026-11-26", "2026-11"), ("2028-02-29", "2028-02"), ("2031-07-31", "2031-07")] {
        assert_eq!(months(&["--today", day]), month);
    }
    // There may be no signups in the first hours of a month.
    let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let day_ago = now.checked_sub(jiff::ToSpan::days(1)).expect("a day");
    let found = months(&[]);
    assert!([&now, &day_ago].iter().any(|day| day.strftime("%Y-%m").to_string() == found), "{found}");
    Home::new().run(&["demo", "--today", "soon"]).exits(3).prints_nothing().says(&["expected a day such as"]);
}

#[test]
fn demo_next_step_commands_work_as_printed() {
    let home = Home::new();
    let run = home.run(&["demo", "--fast", "-q", "--keep", "it's here"]).exits(0);
    let program = &*MP;
    let commands: Vec<&str> = run.stdout.lines().map(str::trim).filter(|line| line.starts_with(program)).collect();
    assert_eq!(commands.len(), 3, "{}", run.stdout);
    let environment = home.command(&[]);
    for command in commands {
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(command).env_clear().current_dir("/");
        shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = crate::support::Run::new(shell.output().expect("a shell")).exits(0);
        assert!(run.stdout.len() > 100, "{command}: {}", run.stdout);
        assert_eq!(run.stderr, "", "{command}");
    }
    let again = home.run(&["demo", "--fast", "-q", "--keep", "it's here"]).exits(1).prints_nothing();
    assert_run!(again.exits(1));
}
