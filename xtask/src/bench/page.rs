//! Updates the generated part of `docs/performance.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;

/// The path of the page, relative to the workspace root.
pub(super) const PAGE: &str = "docs/performance.md";

/// The markers around the generated part.
const BEGIN: &str = "<!-- written by `cargo xtask bench --write` -->";
const END: &str = "<!-- end of what is written by the bench -->";

/// Returns the page with `text` between its markers.
pub(super) fn with(root: &Path, text: &str) -> Result<String, Failure> {
    let page = root.join(PAGE);
    let problem = match fs::read_to_string(&page) {
        Ok(old) => match replaced(&old, text) {
            Some(new) => return Ok(new),
            None => format!("{PAGE} lacks the markers `{BEGIN}` and `{END}`"),
        },
        Err(error) => format!("cannot read {}: {error}", page.display()),
    };
    Err(Failure::new(problem).hint(format!("restore the page with `git checkout {PAGE}`")))
}

/// Writes `text` into the page.
pub(super) fn write(root: &Path, text: &str) -> Result<(), Failure> {
    let path = root.join(PAGE);
    fs::write(&path, with(root, text)?)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

/// Replaces the text between the markers; `None` unless both exist, in this order.
fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

/// Describes the machine, the date and the commit in one line, for comparing the numbers with others.
pub(super) fn circumstances(root: &Path) -> String {
    let line = |file, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let printed = |program, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(root).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let processor = line("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string());
    let kib: Option<u64> = line("/proc/meminfo", "MemTotal").and_then(|size| size.strip_suffix(" kB")?.parse().ok());
    let memory = kib.map_or_else(unknown, |kib| format!("{} GiB", (kib + (1 << 19)) >> 20));
    let kernel = printed("uname", &["-sr"]).unwrap_or_else(unknown);
    let date = printed("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(unknown);
    let commit = printed("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(unknown);
    let changed = printed("git", &["status", "--porcelain", "--untracked-files=no"]).map_or("", |_| " with changes");
    format!(
        "{processor}, processors: {cores}, shared with the simulator; memory: {memory}; {kernel}; {date}; commit {commit}{changed}."
    )
}

/// Returns the one-minute load average, if available.
pub(super) fn load_average() -> Option<String> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_outside_the_markers_is_kept() {
        let page = format!("# Performance\n\nwords\n\n{BEGIN}\nold\n{END}\n\nmore words\n");
        let expected = format!("# Performance\n\nwords\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore words\n");
        assert_eq!(replaced(&page, "new\n"), Some(expected.clone()));
        assert_eq!(replaced(&expected, "new\n"), Some(expected), "writing the same again changes nothing");
        assert_eq!(replaced(&format!("{END}\n{BEGIN}\n"), "new\n"), None);
    }

    #[test]
    fn the_page_of_this_project_has_the_markers() {
        assert!(with(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), "").is_ok());
        assert!(with(Path::new("no-such-directory"), "").unwrap_err().to_string().contains("git checkout"));
    }
}
