//! Runs every example of every command's help against the simulator.

use std::process::Stdio;

use mixpanel_simulator::SimulatorConfig;
use rustix::process::Signal;

use crate::process::{end, send, start};
use crate::program::MP;
use crate::support::{CANARY, Home, PROJECT, Simulator};

/// The service account in the examples.
pub(crate) const USER: &str = "exporter.1a2b3c";

/// Returns the subcommands in a help text, hidden ones excluded.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Returns the path and the long help of a command and all commands below it.
fn helps(home: &Home, path: &[String]) -> Vec<(Vec<String>, String)> {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = home.run(&words).exits(0).stdout;
    let below = subcommands(&help);
    let mut all = vec![(path.to_vec(), help)];
    for name in below {
        all.extend(helps(home, &[path, &[name]].concat()));
    }
    all
}

/// Returns the command lines in the block `Examples:`.
fn examples(help: &str) -> Vec<String> {
    let Some((_, block)) = help.split_once("Examples:\n") else { return Vec::new() };
    let lines = block.lines().take_while(|line| line.starts_with("  ") && line.len() > 2);
    lines.map(str::trim).filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn simulator(faults: &[&str]) -> Simulator {
    let mut config = SimulatorConfig { page_size: 100, ..SimulatorConfig::default() }.with_profiles(250);
    config.faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    // Days such as `7d` are counted back from today.
    config.reference_time = jiff::Timestamp::now();
    Simulator::start_for(USER, config)
}

/// Returns a home in which the example can work: with an account, and with the table or the run that it needs.
fn home_for(line: &str, simulator: &Simulator) -> Home {
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url()).with("SHELL", "/bin/bash");
    let home = home.with("MP_HASH_KEY", "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    home.write_config(&format!(
        "[accounts.work]\nusername = \"{USER}\"\nsecret = \"{CANARY}\"\nproject_id = \"{PROJECT}\"\nregion = \"us\"\n"
    ));
    std::fs::write(home.path().join("secret.txt"), CANARY).expect("a file");
    std::fs::write(home.path().join("report.sql"), "SELECT count(*) FROM profiles").expect("a file");
    std::fs::write(home.path().join("ids.txt"), "a\nb\n").expect("a file");
    let needs = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let is_of_events = line.starts_with("mp inspect ") || line.starts_with("mp models ");
    if is_of_events && !needs(&[" tables", " properties", " schema", " sample", " drop"]) {
        crate::statistics::create_events(&home);
        return home;
    }
    if needs(&["query sql", "export", "inspect", "verify", "--since", "--replace"]) {
        home.run(&["fetch", "profiles", "-q"]).exits(0);
        std::fs::copy(home.database(), home.path().join("my.db")).expect("a copy");
    }
    if needs(&["fetch events --since", "verify events"]) {
        let days = ["--from", "10d", "--to", "today", "--chunk-days", "6"];
        home.run(&[&["fetch", "events", "-q"], &days[..]].concat()).exits(0);
    }
    if needs(&["fetch resume", "fetch discard", "fetch status"]) {
        home.run(&["fetch", "profiles", "-q"]).exits(1);
    }
    home
}

/// Runs an example, which must succeed.
fn run(line: &str) {
    let is_of_run = ["fetch resume", "fetch discard", "fetch status"].iter().any(|words| line.contains(words));
    let simulator = simulator(if is_of_run { &["pages=1 status=404 times=1"] } else { &[] });
    let home = home_for(line, &simulator);
    if let Some(arguments) = line.strip_prefix("mp simulate ").filter(|line| !line.contains("-- ")) {
        let words = home.shell(&format!("printf '%s\\n' simulate {arguments}")).exits(0).stdout;
        let words: Vec<&str> = words.lines().collect();
        let (child, words) = start(&home, &words, "note: the simulator runs");
        send(&child, Signal::INT);
        assert!(end(child, words).exits(130).stdout.contains("export MP_BASE_URL="), "{line}");
        return;
    }
    if let Some(answers) = answers(line) {
        #[cfg(target_os = "linux")]
        if let Some(run) = crate::prompts::dialog(&home, &line.replacen("mp ", &format!("{MP} "), 1), &answers) {
            run.exits(0);
        }
        return;
    }
    let run = home.shell_with_mp(line);
    assert_eq!(run.code, Some(0), "{line}\nstdout:\n{}\nstderr:\n{}", run.stdout, run.stderr);
}

/// Returns the prompts of an interactive example and the answers to them.
pub(crate) fn answers(line: &str) -> Option<Vec<(&'static str, &'static str)>> {
    match line.split('#').next().map(str::trim) {
        Some("mp auth add") => Some(vec![
            ("Account name: ", "new"),
            ("User name: ", USER),
            ("Secret: ", CANARY),
            ("Project id: ", PROJECT),
            ("Region (us, eu or in) [us]: ", ""),
        ]),
        Some("mp auth edit work") => Some(vec![
            ("User name [", ""),
            ("Secret [unchanged]: ", ""),
            ("Project id [", ""),
            ("Region (us, eu or in) [us]: ", ""),
        ]),
        _ => None,
    }
}

#[test]
fn every_example_of_every_command_works() {
    let home = Home::new();
    let mut commands = helps(&home, &[]);
    commands.push((vec!["man".to_owned()], home.run(&["man", "--help"]).exits(0).stdout));
    commands.push((Vec::new(), home.run(&[]).exits(0).stdout));
    let mut lines = Vec::new();
    for (path, help) in &commands {
        let examples = examples(help);
        assert!(!examples.is_empty(), "`mp {}` has no examples:\n{help}", path.join(" "));
        for line in examples {
            assert!(line.len() <= 78 && line.contains("mp "), "too long, or not an example: {line}");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    assert!(lines.len() > 35, "{lines:#?}");
    // Each example has its own home and simulator, so they can run at the same time.
    let next = std::sync::Mutex::new(lines.iter());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(line) = { next.lock().expect("no panic").next() } {
                    run(line);
                }
            });
        }
    });
}

#[test]
fn a_shell_completes_every_command_of_the_help() {
    let home = Home::new();
    let mut command = home.command(&["--", "mp", ""]);
    let output = command.env("MP_COMPLETE", "fish").stdin(Stdio::null()).output().expect("it runs");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    for name in subcommands(&home.run(&["--help"]).exits(0).stdout) {
        assert!(shown.lines().any(|line| line.split('\t').next() == Some(&name)), "no {name} in {shown}");
    }
}
