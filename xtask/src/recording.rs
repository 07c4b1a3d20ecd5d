//! Records `mp demo` in a pseudo terminal, as an animated SVG image for the README.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::cargo::{Cargo, cannot_run};
use crate::failure::Failure;
use crate::paths::Paths;

/// The arguments of the recorded command that the image does not show: the same data every time, and no progress bar,
/// which would be redrawn hundreds of times.
const OPTIONS: &str = "--today 2026-11-26 --no-progress";

/// The file, below the root of the workspace.
const FILE: &str = "docs/demo.svg";

/// The length of the animation. A longer recording is played faster.
const LENGTH_MAX: Duration = Duration::from_secs(8);

/// The size of a character and the margin, in pixels.
const CHARACTER: (f64, usize) = (8.4, 20);
const MARGIN: usize = 20;

/// A line on the terminal, and when it appeared.
#[derive(Debug)]
struct Line {
    text: String,
    at: Duration,
}

/// Builds `mp`, records the demo and writes the image.
pub(crate) fn record(cargo: &Cargo<'_>, places: &Paths) -> Result<ExitCode, Failure> {
    let status = cargo.building(&["build", "--package", "mp"]).status().map_err(|error| cannot_run(&error))?;
    if !status.success() {
        return Err(Failure::new(format!("could not build mp ({status})")).hint("fix the errors above"));
    }
    let program = places.target.join("debug").join(format!("mp{}", env::consts::EXE_SUFFIX));
    let line = format!("stty cols 90 rows 50; exec \"$MP_PROGRAM\" demo {OPTIONS}");
    let mut terminal = cargo.linked("script".as_ref());
    match env::consts::OS {
        "linux" => terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]),
        _ => terminal.args(["-q", "/dev/null", "sh", "-c", &line]),
    };
    let lines = play(terminal.env("MP_PROGRAM", program).env("TERM", "xterm").env_remove("PAGER"))?;
    let path = places.root.join(FILE);
    fs::write(&path, svg("mp demo", &lines))
        .map_err(|error| Failure::new(format!("cannot write to {}: {error}", path.display())))?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Runs the command, and returns the lines that it prints.
fn play(command: &mut Command) -> Result<Vec<Line>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot run the demo in a terminal: {error}")).hint("install the program `script`")
    };
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let screen = BufReader::new(child.stdout.take().expect("it was made a pipe"));
    let lines = screen.lines().map(|line| line.map(|line| Line { text: visible(&line), at: start.elapsed() }));
    let lines: Vec<Line> = lines.collect::<Result<_, _>>().map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(lines) } else { Err(Failure::new(format!("the demo failed ({status})"))) }
}

/// Removes escape sequences, such as those for colors, and the spaces and carriage return at the end.
fn visible(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            text.push(character);
        }
    }
    text.trim_end().to_owned()
}

/// Draws a terminal in which the lines appear after the command. Without animation, all of them are visible.
fn svg(command: &str, lines: &[Line]) -> String {
    let length = lines.last().map_or(Duration::ZERO, |line| line.at);
    let speed = (length.as_secs_f64() / LENGTH_MAX.as_secs_f64()).max(1.0);
    let columns = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or(0).max(80);
    let (width, height) =
        (CHARACTER.0 * columns as f64 + 2.0 * MARGIN as f64, CHARACTER.1 * (lines.len() + 1) + 2 * MARGIN);
    let mut image = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height}" role="img" xml:space="preserve">
<title>{command}</title>
<desc>Written by `cargo xtask recording` from `{command} {OPTIONS}`</desc>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre; animation: appear 0.1s backwards }}
@keyframes appear {{ from {{ opacity: 0 }} }}
@media (prefers-reduced-motion: reduce) {{ text {{ animation: none }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#1b2028"/>
"##
    );
    let prompt = Line { text: format!("$ {command}"), at: Duration::ZERO };
    for (number, line) in std::iter::once(&prompt).chain(lines).enumerate().filter(|(_, line)| !line.text.is_empty()) {
        let baseline = MARGIN + CHARACTER.1 * number + 14;
        let delay = line.at.as_secs_f64() / speed;
        // A fixed length keeps tables aligned in every font.
        let length = CHARACTER.0 * line.text.chars().count() as f64;
        let text = line.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        image.push_str(&format!(
            "<text x=\"{MARGIN}\" y=\"{baseline}\" textLength=\"{length:.1}\" style=\"animation-delay: {delay:.1}s\">{text}</text>\n"
        ));
    }
    image + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_not_drawn() {
        for (line, text) in [("a  b \r", "a  b"), ("\u{1b}[2mNULL\u{1b}[0m x", "NULL x"), ("\u{1b}[?25h", ""), ("", "")]
        {
            assert_eq!(visible(line), text);
        }
    }

    #[test]
    fn a_long_recording_is_played_faster_and_text_is_escaped() {
        let line = |text: &str, at| Line { text: text.to_owned(), at: Duration::from_secs(at) };
        let image = svg("mp demo", &[line("a < b & c", 8), line("", 12), line("│ end", 16)]);
        assert!(
            image.contains(r#"y="54" textLength="75.6" style="animation-delay: 4.0s">a &lt; b &amp; c</text>"#),
            "{image}"
        );
        assert!(image.contains(r#"animation-delay: 8.0s">│ end</text>"#), "{image}");
        assert_eq!(image.matches("<text ").count(), 3, "empty lines take space only");
        assert!(svg("mp demo", &[line("x", 2)]).contains("animation-delay: 2.0s"), "a short one is not slowed down");
    }
}
