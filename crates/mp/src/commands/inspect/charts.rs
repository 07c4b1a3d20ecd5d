//! Bars and heatmaps of block characters, within the width of a terminal.

use console::{measure_text_width, pad_str, truncate_str};
use mixpanel_data::Date;

use crate::text::{day_range, printable, thousands};

/// The width of a terminal from which a bar has this many cells.
const BARS: [(usize, usize); 3] = [(100, 24), (60, 10), (0, 0)];

/// The cells of a heatmap: none, up to a third of the largest number, up to two thirds, more, the largest.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// The number of events in a heatmap.
const EVENTS_SHOWN: usize = 20;

/// The largest share of the width that names take, in percent.
const NAME_PERCENT: usize = 35;

/// Returns the number of cells that a bar has in a terminal of this width; 0 if there is no room for one.
pub(super) fn bar_cells(width: usize) -> usize {
    BARS.iter().find(|(from, _)| width >= *from).map_or(0, |(_, cells)| *cells)
}

/// Returns a bar whose length is this share of the cells. Anything but zero has at least half a cell.
pub(super) fn bar(part: f64, whole: f64, cells: usize) -> String {
    if whole <= 0.0 || part <= 0.0 {
        return String::new();
    }
    let length = part / whole * 2.0 * cells as f64 + 0.5;
    let halves = (1..=2 * cells).filter(|half| *half as f64 <= length).count().max(1);
    let end = if halves % 2 == 1 { "▌" } else { "" };
    format!("{}{end}", "█".repeat(halves / 2))
}

/// Returns a line for each of the most frequent events: its name, a cell for every day (or for several, if there are
/// more than fit), and its total. Each count has its day and its event.
pub(super) fn heatmap(counts: &[(&str, &str, u64)], from: &str, to: &str, width: usize) -> String {
    let (Ok(from), Ok(to)) = (from.parse::<Date>(), to.parse::<Date>()) else {
        return String::new();
    };
    let days = days_between(from, to) + 1;
    let mut totals: Vec<(&str, u64)> = Vec::new();
    for (_, event, count) in counts {
        match totals.iter_mut().find(|(own, _)| own == event) {
            Some((_, total)) => *total += count,
            None => totals.push((event, *count)),
        }
    }
    totals.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rest = totals.len().saturating_sub(EVENTS_SHOWN);
    totals.truncate(EVENTS_SHOWN);
    let names: Vec<String> = totals.iter().map(|(event, _)| printable(event).into_owned()).collect();
    let widest = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0);
    let name_width = widest.min((width * NAME_PERCENT / 100).max(8));
    let number_width = totals.iter().map(|(_, total)| thousands(*total).len()).max().unwrap_or(0);
    let room = width.saturating_sub(name_width + number_width + 4).max(1);
    let per_cell = days.div_ceil(room);
    let cells = days.div_ceil(per_cell);
    let mut lines = vec![format!("{:name_width$}  {}", "", axis(from, to, cells))];
    for ((event, total), name) in totals.iter().zip(&names) {
        let mut values = vec![0; cells];
        for (day, _, count) in counts.iter().filter(|(_, own, _)| own == event) {
            if let Ok(day) = day.parse::<Date>() {
                values[(days_between(from, day) / per_cell).min(cells - 1)] += count;
            }
        }
        let name = truncate_str(name, name_width, "…");
        let name = pad_str(&name, name_width, console::Alignment::Left, None).into_owned();
        lines.push(format!("{name}  {}  {:>number_width$}", shades(&values), thousands(*total)));
    }
    if per_cell > 1 {
        lines.push(format!("{:name_width$}  one cell is {per_cell} days", ""));
    }
    if rest > 0 {
        lines.push(format!("{:name_width$}  ... {rest} more events; select some with --events", ""));
    }
    lines.join("\n")
}

/// Returns the number of days from one day to another; 0 if the other is earlier.
fn days_between(from: Date, to: Date) -> usize {
    usize::try_from((to - from).get_days()).unwrap_or(0)
}

/// Returns the first and the last day above the ends of the cells.
fn axis(from: Date, to: Date, cells: usize) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    match cells.checked_sub(from.len() + to.len()) {
        Some(gap) if gap > 0 => format!("{from}{}{to}", " ".repeat(gap)),
        _ => day_range(&from, &to),
    }
}

/// Returns a cell for each number, darker for larger ones.
fn shades(values: &[u64]) -> String {
    let largest = values.iter().copied().max().unwrap_or(0).max(1);
    let shade = |value: &u64| match *value {
        0 => SHADES[0],
        value if value == largest => SHADES[4],
        value => SHADES[1 + (u128::from(value) * 3 / u128::from(largest)) as usize],
    };
    values.iter().map(shade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        for (part, whole, expected) in
            [(0.0, 4.0, ""), (4.0, 4.0, "████"), (2.0, 4.0, "██"), (0.001, 4.0, "▌"), (1.5, 4.0, "█▌"), (1.0, 0.0, "")]
        {
            assert_eq!(bar(part, whole, 4), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn a_heatmap_fits_any_width() {
        let counts = [
            ("2026-03-01", "View\u{1b}", 9),
            ("2026-03-02", "View\u{1b}", 3),
            ("2026-03-01", "Buy", 1),
            ("2026-04-30", "Buy", 2),
        ];
        for width in [20, 40, 80, 200] {
            let text = heatmap(&counts, "2026-03-01", "2026-04-30", width);
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines[1].starts_with("View\\u{1b}") || width < 30, "{text}");
            let bounded = lines.iter().filter(|line| line.contains('█'));
            assert!(
                bounded.clone().count() == 2 && bounded.clone().all(|line| measure_text_width(line) <= width),
                "{text}"
            );
            assert!(!text.contains('\u{1b}'));
        }
        assert_eq!(shades(&[0, 1, 5, 8, 9]), "·░▒▓█");
        assert_eq!(shades(&[]), "");
    }
}
