//! `docs/performance.md`: words written by hand around results that are not.

use std::fs;
use std::path::Path;

use super::plot;
use super::plot::Bar;
use super::table::Table;
use crate::failure::Failure;

/// The page and its plot, from the root of the workspace.
pub(super) const PAGE: &str = "docs/performance.md";
const PLOT: &str = "docs/performance.svg";

/// Between these lines everything is written by the bench.
const BEGIN: &str = "<!-- written by `cargo xtask bench --write` -->";
const END: &str = "<!-- end of what is written by the bench -->";

/// Fails if the page cannot be written, before anybody waits for the results.
pub(super) fn check(root: &Path) -> Result<(), Failure> {
    with(root, "").map(|_| ())
}

/// Writes tables, plot and words into the page.
pub(super) fn write(root: &Path, lines: &[String], tables: &[Table], bars: &[Bar]) -> Result<(), Failure> {
    let new = with(root, &generated(lines, tables))?;
    for (name, text) in [(PAGE, new), (PLOT, plot::svg(bars))] {
        let path = root.join(name);
        fs::write(&path, text).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Returns the page with this text between its markers.
fn with(root: &Path, text: &str) -> Result<String, Failure> {
    let page = root.join(PAGE);
    let way_out = || format!("`git checkout {PAGE}` brings the page back");
    let old = fs::read_to_string(&page)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", page.display())).way_out(way_out()))?;
    replaced(&old, text)
        .ok_or_else(|| Failure::new(format!("{PAGE} has lost its markers `{BEGIN}` and `{END}`")).way_out(way_out()))
}

fn generated(lines: &[String], tables: &[Table]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&format!("- {line}\n"));
    }
    text.push_str("\n![Wall time of every scenario as a multiple of its ideal](performance.svg)\n");
    for table in tables {
        text.push('\n');
        text.push_str(&table.markdown());
    }
    text
}

/// Puts text between the markers; none if they are not there, in this order.
fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::table::Align;
    use super::*;

    #[test]
    fn what_is_around_the_markers_stays() {
        let page = format!("# Performance\n\nwords\n\n{BEGIN}\nold\n{END}\n\nmore words\n");
        let expected = format!("# Performance\n\nwords\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore words\n");
        assert_eq!(replaced(&page, "new\n"), Some(expected.clone()));
        assert_eq!(replaced(&expected, "new\n"), Some(expected), "writing the same again changes nothing");
    }

    #[test]
    fn a_page_without_its_markers_is_left_alone() {
        for page in ["", BEGIN, END, &format!("{END}\n{BEGIN}\n")] {
            assert_eq!(replaced(page, "new\n"), None, "{page}");
        }
    }

    #[test]
    fn the_page_of_this_project_has_the_markers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(replaced(&page, "").is_some());
    }

    #[test]
    fn words_come_first_then_the_plot_then_the_tables() {
        let table = Table { title: "Loads", columns: vec![("s", Align::Right)], rows: vec![vec!["1.00".to_owned()]] };
        let text = generated(&["a machine".to_owned()], &[table]);
        assert!(
            text.starts_with("- a machine\n\n![") && text.ends_with("### Loads\n\n| s |\n| --: |\n| 1.00 |\n"),
            "{text}"
        );
    }

    #[test]
    fn a_lost_page_is_a_failure_with_a_way_out() {
        let failure = write(Path::new("no-such-folder"), &[], &[], &[]).unwrap_err().to_string();
        assert!(failure.contains("no-such-folder") && failure.contains("git checkout"), "{failure}");
    }
}
