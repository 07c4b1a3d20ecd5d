//! The plot of the page: how many times the ideal each scenario takes, as an SVG of plain strings.

// Writing to a string cannot fail, so that the results are not looked at.
use std::fmt::Write as _;

use super::scenario::{Mode, Scenario, grouped};

/// How many times the ideal a scenario takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) scenario: Scenario,
    pub(super) ratio: f64,
}

/// Pixels: where bars begin, what 1.0 is long, and where the page ends.
const LEFT: f64 = 250.0;
const UNIT: f64 = 120.0;
const WIDTH: f64 = 840.0;
/// Pixels from one bar to the next, and of a bar.
const STEP: f64 = 20.0;
const THICK: f64 = 13.0;
/// The greatest ratio that is drawn to scale. Longer bars end here; the number beside them is right all the same.
const LONGEST: f64 = 4.0;
/// Ratios that have a line.
const MARKS: [f64; 5] = [0.0, 1.0, 2.0, 3.0, LONGEST];

/// With a background of its own, because a page may be dark where the system is light.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.end{text-anchor:end}.mid{text-anchor:middle}
.page{fill:#ffffff}.parallel{fill:#0969da}.sequential{fill:#8c959f}
.grid{stroke:#d1d9e0}.one{stroke:#cf222e;stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.parallel{fill:#58a6ff}
.sequential{fill:#6e7681}.grid{stroke:#30363d}.one{stroke:#ff7b72}}
";

/// Draws the bars, grouped by how long the server takes.
pub(super) fn svg(bars: &[Bar]) -> String {
    let mut latencies: Vec<_> = bars.iter().map(|bar| bar.scenario.latency).collect();
    latencies.sort();
    latencies.dedup();
    let mut body = String::new();
    let mut y = 62.0;
    for latency in latencies {
        y += STEP;
        let ideal = match latency.as_millis() {
            0 => "0 ms a reply; ideal: DuckDB alone loads a JSONL file".to_owned(),
            milliseconds => format!("{milliseconds} ms a reply; ideal: rounds x {milliseconds} ms"),
        };
        text(&mut body, "head", 10.0, y, &ideal);
        let group: Vec<&Bar> = bars.iter().filter(|bar| bar.scenario.latency == latency).collect();
        grid(&mut body, y + 6.0, y + 8.0 + STEP * group.len() as f64);
        for bar in group {
            y += STEP;
            draw(&mut body, bar, y);
        }
        y += STEP / 2.0;
    }
    let height = y + STEP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>Wall time as a multiple of the ideal</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    text(&mut svg, "head", 10.0, 24.0, "Wall time as a multiple of the ideal; shorter is better");
    legend(&mut svg);
    for ratio in MARKS {
        text(&mut svg, "mid", LEFT + length(ratio), 64.0, &format!("{ratio:.1}"));
    }
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

fn draw(body: &mut String, bar: &Bar, y: f64) {
    let Scenario { profiles, page_size, mode, .. } = bar.scenario;
    text(body, "end", LEFT - 8.0, y, &format!("{}, {} a page", grouped(profiles), grouped(page_size)));
    let length = length(bar.ratio);
    rectangle(body, mode, LEFT, y, length);
    let cut = if bar.ratio > LONGEST { " (cut)" } else { "" };
    text(body, "", LEFT + length + 6.0, y, &format!("{:.2}{cut}", bar.ratio));
}

/// The length of a bar in pixels.
fn length(ratio: f64) -> f64 {
    ratio.clamp(0.0, LONGEST) * UNIT
}

/// Lines at the marks; the one at 1.0 is the ideal.
fn grid(body: &mut String, top: f64, bottom: f64) {
    for ratio in MARKS {
        let x = LEFT + length(ratio);
        let class = if ratio == 1.0 { "one" } else { "grid" };
        let _ = writeln!(body, "<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>");
    }
}

fn legend(svg: &mut String) {
    for (mode, x) in [(Mode::Parallel, LEFT), (Mode::Sequential, LEFT + UNIT)] {
        rectangle(svg, mode, x, 42.0, THICK);
        text(svg, "", x + 20.0, 42.0, mode.name());
    }
}

/// Writes text on the line at `y`.
fn text(svg: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y}\">{words}</text>");
}

/// Draws a bar around the middle of the letters on the line at `y`.
fn rectangle(svg: &mut String, mode: Mode, x: f64, y: f64, length: f64) {
    let (class, top) = (mode.name(), y - THICK + 2.0);
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{length:.1}\" height=\"{THICK}\" rx=\"2\"/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Vec<Bar> {
        let slow = Scenario::slow_small();
        vec![
            Bar { scenario: slow, ratio: 1.25 },
            Bar { scenario: Scenario { mode: Mode::Sequential, ..slow }, ratio: 1.0 },
            Bar { scenario: Scenario::million(), ratio: 12.346 },
        ]
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_says_it() {
        let svg = svg(&bars());
        assert!(svg.contains("class=\"parallel\" x=\"250\"") && svg.contains("width=\"150.0\""), "{svg}");
        assert!(svg.contains(">1.25</text>"), "{svg}");
        assert!(svg.contains(">24,600, 1,000 a page</text>"), "{svg}");
    }

    #[test]
    fn the_line_at_one_is_where_a_bar_of_one_ends() {
        let svg = svg(&bars());
        assert!(svg.contains("<line class=\"one\" x1=\"370\" x2=\"370\""), "{svg}");
        assert!(svg.contains("class=\"sequential\" x=\"250\"") && svg.contains("width=\"120.0\""), "{svg}");
    }

    #[test]
    fn a_bar_that_would_leave_the_page_is_cut_but_its_number_is_not() {
        let svg = svg(&bars());
        assert!(svg.contains("width=\"480.0\"") && svg.contains(">12.35 (cut)</text>"), "{svg}");
    }

    #[test]
    fn scenarios_are_grouped_by_latency_from_the_fastest_server() {
        let svg = svg(&bars());
        let place = |words: &str| svg.find(words).unwrap();
        assert!(place("0 ms a reply; ideal: DuckDB") < place("12.35") && place("12.35") < place("400 ms a reply"));
    }

    #[test]
    fn every_element_is_closed() {
        let svg = svg(&bars());
        for element in ["text", "style", "title", "svg"] {
            let opened = svg.matches(&format!("<{element}")).count();
            assert_eq!(opened, svg.matches(&format!("</{element}>")).count(), "{element}");
        }
        assert_eq!(svg.matches("<rect").count() + svg.matches("<line").count(), svg.matches("/>").count());
    }
}
