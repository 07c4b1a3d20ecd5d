//! Runs the commands of the README as printed, in order, against a simulator.

use mixpanel_simulator::SimulatorConfig;

use crate::examples::USER;
use crate::program::MP;
use crate::support::{CANARY, Home, PROJECT, Simulator};

/// Read at run time, so that a change of the text does not rebuild the tests.
fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).expect("the README")
}

/// The code blocks that are not run: the first line, and the reason, which the README contains in a comment.
const NOT_RUN: [(&str, &str); 6] = [
    ("cargo install --path crates/mp", "compiles DuckDB"),
    ("import duckdb, pandas, pathlib", "needs the Python packages duckdb and pandas"),
    ("0 6 * * *", "a line of a crontab"),
    ("pip install './python[pandas]'", "compiles DuckDB"),
    ("import mixpanel_data as mp", "python/tests/test_docs.py runs it"),
    ("cargo uninstall mp", "`mp` was not installed with cargo"),
];

/// A code block.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    /// Why it is not run.
    not_run: Option<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let readme = readme();
    let mut lines = readme.lines();
    let mut not_run = None;
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            blocks.push(Block { language: language.to_owned(), text, not_run: not_run.take() });
        } else {
            let reason = line.strip_prefix("<!-- not run: ").and_then(|line| line.strip_suffix(" -->"));
            not_run = reason.map(str::to_owned);
        }
    }
    blocks
}

/// Returns the commands of a `console` block, each with its output.
fn console(text: &str) -> Vec<(&str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, String::new())),
            (None, Some((_, output))) => output.push_str(&format!("{line}\n")),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    commands
}

/// Answers the prompts of `mp auth add` in a terminal. Without one, stores the same account.
fn add_account(home: &Home, line: &str) {
    #[cfg(target_os = "linux")]
    {
        let answers = crate::examples::answers(line).expect("its prompts are known");
        let command = line.replacen("mp ", &format!("{} ", MP), 1);
        if let Some(run) = crate::prompts::dialog(home, &command, &answers) {
            run.exits(0);
            return;
        }
    }
    let add = ["auth", "add", "new", "-u", USER, "-p", PROJECT, "--secret-stdin"];
    home.run_with_input(&add, CANARY).exits(0);
}

/// Leaves an unfinished run, as a crash would, and returns the simulator that can complete it.
fn interrupt_a_fetch(home: &Home) -> Simulator {
    let fault = "pages=3 status=404 times=1".parse().expect("a fault");
    let simulator = Simulator::start_for(USER, SimulatorConfig::default().with_fault(fault));
    home.run(&["fetch", "profiles", "--replace", "-q", "--base-url", &simulator.base_url()]).exits(1);
    simulator
}

#[test]
fn every_command_works_as_printed_and_in_order() {
    let simulator = Simulator::start_for(USER, SimulatorConfig::default());
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let mut skipped = Vec::new();
    let mut second = None;
    // The days of the commands are counted back from today.
    let now = SimulatorConfig { reference_time: jiff::Timestamp::now(), ..SimulatorConfig::default() };
    let of_events = Simulator::start_for(USER, now.with_profiles(300));
    for block in blocks() {
        if let Some(reason) = &block.not_run {
            skipped.push((block.text, reason.clone()));
            continue;
        }
        let text = block.text.as_str();
        match block.language.as_str() {
            "sh" if text.trim() == "mp auth add" => add_account(&home, text.trim()),
            "sh" => {
                let mut script = format!("set -e\n{text}");
                if text.contains("mp fetch resume") {
                    let simulator = second.insert(interrupt_a_fetch(&home));
                    script = format!("MP_BASE_URL={}; export MP_BASE_URL\n{script}", simulator.base_url());
                }
                if text.contains("mp fetch events") {
                    script = format!("MP_BASE_URL={}; export MP_BASE_URL\n{script}", of_events.base_url());
                }
                let run = home.shell_with_mp(&script);
                assert_eq!(run.code, Some(0), "{text}\nstdout:\n{}\nstderr:\n{}", run.stdout, run.stderr);
            }
            "console" => {
                for (command, expected) in console(text) {
                    let run = home.shell_with_mp(&format!("MP_FORMAT=table; export MP_FORMAT\n{command}")).exits(0);
                    let shown: String = run.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect();
                    assert_eq!(shown, expected, "{command} prints:\n{shown}");
                }
            }
            // A doc test of the library compiles it.
            "rust,no_run" | "toml" => {}
            other => panic!("a block in {other:?} is neither run nor on the list:\n{text}"),
        }
    }
    assert!(second.is_some(), "the README resumes a fetch");
    assert!(!home.path().join(".mp").exists(), "the last block removes everything");
    let is_listed =
        |(text, reason): &(String, String), (first, why): &(&str, &str)| text.starts_with(first) && reason == why;
    assert!(
        skipped.len() == NOT_RUN.len() && skipped.iter().zip(&NOT_RUN).all(|(block, listed)| is_listed(block, listed)),
        "these blocks are not run, and the list differs: {skipped:#?}"
    );
}

#[test]
fn every_link_leads_to_a_file() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = readme();
    let targets = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files: Vec<&str> = targets.filter(|target| !target.starts_with("https://")).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert!(root.join(file.split('#').next().unwrap_or(file)).exists(), "{file}");
    }
}

#[test]
fn the_help_names_the_variables_of_the_readme() {
    let help = Home::new().run(&["--help"]).exits(0).stdout;
    let readme = readme();
    let variables = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = variables.flat_map(|cell| cell.split(['`', ',', ' '])).filter(|name| name.len() > 3);
    let names: Vec<&str> = names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    assert!(names.len() > 12, "{names:?}");
    // Used by a dependency, with SSL_CERT_FILE.
    for name in names.iter().filter(|name| **name != "SSL_CERT_DIR") {
        assert!(help.contains(name), "{name} is not in `mp --help`");
    }
}
