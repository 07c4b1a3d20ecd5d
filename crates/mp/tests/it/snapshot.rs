//! The exact output of the command: each run is compared with a file under `snapshots`.
//!
//! After a change of wording, run `INSTA_UPDATE=always cargo xtask test -p mp --test it` and review `git diff`.

use std::fmt::Write as _;

use crate::program::MP;
use crate::support::Run;

/// Compares a run with its snapshot: the command, the exit code, standard output and standard error. Returns the run.
///
/// If a test has several runs, the second argument names the case. Runs of the same case must have the same output.
macro_rules! assert_run {
    ($run:expr $(,)?) => {{
        let run = $run;
        let _bound = $crate::snapshot::settings("").bind_to_scope();
        insta::assert_snapshot!($crate::snapshot::text(&run));
        run
    }};
    ($run:expr, $case:expr $(,)?) => {{
        let run = $run;
        let _bound = $crate::snapshot::settings($case).bind_to_scope();
        insta::allow_duplicates! { insta::assert_snapshot!($crate::snapshot::text(&run)) };
        run
    }};
}
pub(crate) use assert_run;

/// Text that differs between runs or machines, and its replacement.
const REDACTIONS: [(&str, &str); 28] = [
    // A home directory or a temporary file.
    (r"\[TMPDIR\]/\.tmp[A-Za-z0-9]{6}", "[HOME]"),
    // A port chosen by the system; tests use smaller and larger ones.
    (r"(127\.0\.0\.\d|localhost):(?:[1-5]\d{4}|6[0-5]\d{3})\b", "$1:[PORT]"),
    (r"\b\d{8}T\d{9}Z-[0-9a-f]{8}\b", "[RUN]"),
    // The quota ledger of a server.
    (r"quota-127\.0\.0\.1-\d+-(\d+)-[0-9a-f]{12}\b", "quota-127.0.0.1-[PORT]-$1-[HASH]"),
    (r"checksum \d{16,}", "checksum [CHECKSUM]"),
    // `strace`, which injects failures of system calls.
    (r"(?m)^strace: .*\n", ""),
    // A simulator that is stopped while idle may exit before it prints this.
    (r"(?m)^stopping\n", ""),
    (r"\bprocess \d+", "process [PID]"),
    (r#"("held_by": ?)\d+"#, "$1[PID]"),
    (r#"("fetched_at": ?)"[^"]+""#, "$1[TIME]"),
    (r#"("(?:duration|waited|run_waited|age|expected|sequential|parallel)_seconds": ?)[\d.]+"#, "$1[SECONDS]"),
    // A current time; tests that name a time choose another century.
    (r"\b20[2-4]\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[TIME]"),
    (r"\b20[2-4]\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?: +│)?", "[TIME]"),
    (r"clock is \d+[smhd](?: \d\d[smh])? ahead", "clock is [TIME] ahead"),
    (r"try again in (?:\d+\.\ds|\d+[smhd](?: \d\d[smh])?)", "try again in [TIME]"),
    (r"\(Retry-After: \d+[smhd](?: \d\d[smh])?\)", "(Retry-After: [TIME])"),
    // Pages are parsed in parallel, so their order may vary.
    (r"(?m)^page \d+: (\d+ profiles? \()", "page [N]: $1"),
    // The age of a run in table output.
    (r"┆ \d+(?:\.\d)?s +┆", "┆ [AGE] ┆"),
    (r"(?m)^waiting until \d\d:\d\d:\d\d", "waiting until [TIME]"),
    (r"(attempt \d failed, retrying in )[\d.]+ ?m?s", "$1[SECONDS]"),
    (r#"("bytes": ?)\d+"#, "$1[BYTES]"),
    (r"(?m)^ +\d+\.\d+s ", "[ELAPSED] "),
    (r"the wait would take \d+[smhd](?: \d\d[smh])? in all", "the wait would take [TIME] in all"),
    (r"the next is available in \d+[smhd](?: \d\d[smh])?", "the next is available in [TIME]"),
    (r"(?m)^  about \d+[sm]$", "  about [TIME]"),
    // The reason depends on the machine's network.
    (r"lookup address information: [A-Z][a-z ]+", "lookup address information: [REASON]"),
    (r"/\.mixpanel-data-[A-Za-z0-9]{6}\b", "/.mixpanel-data-[RANDOM]"),
    (r"\bmp version \d+\.\d+\.\d+\S*", "mp version [VERSION]"),
];

/// Returns the settings of a snapshot. The case becomes part of the file name.
pub(crate) fn settings(case: impl AsRef<str>) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots"));
    settings.set_omit_expression(true);
    let case = slug(case.as_ref());
    if !case.is_empty() {
        settings.set_snapshot_suffix(case);
    }
    for (pattern, replacement) in REDACTIONS {
        settings.add_filter(pattern, replacement);
    }
    settings
}

/// Returns the letters, digits and dots of a text, with a hyphen in place of everything between them.
fn slug(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '.');
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// Returns a run as text, with local paths replaced and control characters escaped.
pub(crate) fn text(run: &Run) -> String {
    let mut text = String::new();
    if !run.command.is_empty() {
        let _infallible = writeln!(text, "$ {}", run.command);
    }
    let code = run.code.map_or_else(|| "none, killed by a signal".to_owned(), |code| code.to_string());
    let _infallible = writeln!(text, "exit code: {code}");
    for (name, content) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        text = text + name + ":\n" + &visible(content);
        if !content.is_empty() && !content.ends_with('\n') {
            text.push_str("[no end of line]\n");
        }
    }
    without_paths(text)
}

fn visible(text: &str) -> String {
    let show = |character: char| match character {
        '\n' | '\t' => character.to_string(),
        '\r' => "\\r".to_owned(),
        _ if character.is_control() => character.escape_unicode().to_string(),
        _ => character.to_string(),
    };
    text.chars().map(show).collect()
}

fn without_paths(mut text: String) -> String {
    let temporary = std::env::temp_dir();
    let real = temporary.canonicalize().unwrap_or_else(|_| temporary.clone());
    for path in [real, temporary] {
        let path = path.display().to_string();
        text = text.replace(&format!("{}/.tmp", path.trim_end_matches('/')), "[TMPDIR]/.tmp");
    }
    text.replace(&*MP, "[MP]")
}
