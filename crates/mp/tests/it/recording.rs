//! The recording of the demo in the README shows what the demo prints.

use crate::support::Home;

/// Read at run time, so that another recording does not rebuild the tests.
fn image() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/demo.svg")).expect("the recording")
}

/// Returns the lines that the image shows, without the prompt and empty lines.
fn shown(image: &str) -> Vec<String> {
    let texts =
        image.lines().filter_map(|line| line.strip_prefix("<text ")?.split_once('>')?.1.strip_suffix("</text>"));
    let lines = texts.map(|text| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
    lines.skip(1).collect()
}

/// Replaces what differs in every run: the port, the two times and their quotient.
fn redacted(line: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (start, end) = if let Some((start, _)) = line.split_once("127.0.0.1:") {
        (start, "[ADDRESS]")
    } else if let Some((start, _)) = line.split_once(" requests in ") {
        (start, "[TIME]")
    } else if line.trim_start_matches(is_number).starts_with(" times as fast") {
        ("", line.trim_start_matches(is_number))
    } else {
        (line, "")
    };
    format!("{start}{end}")
}

#[test]
fn the_recording_shows_what_the_demo_prints() {
    let image = image();
    let command = image.split_once("from `mp ").and_then(|(_, rest)| rest.split('`').next()).expect("the command");
    let arguments: Vec<&str> = command.split(' ').collect();
    let run = Home::new().run(&arguments).exits(0);
    let printed: Vec<String> = run.stdout.lines().filter(|line| !line.is_empty()).map(redacted).collect();
    let shown: Vec<String> = shown(&image).iter().map(|line| redacted(line)).collect();
    assert_eq!(printed, shown, "run `cargo xtask recording`");
}

#[test]
fn the_recording_is_small_and_stands_alone() {
    let image = image();
    assert!(image.len() < 40_000, "{} bytes", image.len());
    // GitHub shows images without scripts and without other files.
    for part in ["<script", "href", "url(", "@import"] {
        assert!(!image.contains(part), "{part}");
    }
}
