//! House rules that the compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;

/// Returns whether a file contains only tests.
pub(crate) fn is_test(name: &str) -> bool {
    name.contains("/simulation/") || ["tests.rs", "/testing.rs"].iter().any(|ending| name.ends_with(ending))
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Returns the path and contents of every file in the workspace with this extension. Paths are relative to the root.
fn files(extension: &str) -> Vec<(String, String)> {
    let root = workspace_root();
    let mut found = Vec::new();
    let mut directories: Vec<PathBuf> = ["crates", "docs", "xtask"].iter().map(|name| root.join(name)).collect();
    let mut paths: Vec<PathBuf> = entries(&root).into_iter().filter(|path| path.is_file()).collect();
    while let Some(directory) = directories.pop() {
        for path in entries(&directory) {
            let list = if path.is_dir() { &mut directories } else { &mut paths };
            list.push(path);
        }
    }
    for path in paths {
        if path.extension().is_some_and(|own| own == extension) {
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push((name, fs::read_to_string(&path).expect("UTF-8")));
        }
    }
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

/// Returns every Rust source of the workspace.
fn sources() -> Vec<(String, String)> {
    let found = files("rs");
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter_map(|(name, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{name} has {lines} lines; move the walls"))
    });
    complain(&long.collect::<Vec<_>>());
}

/// Test files are `x/tests.rs`, `x/topic_tests.rs` or `testing.rs`, without a `#[path]` attribute.
#[test]
fn test_files_follow_one_convention() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if name.contains("/src/") && name.ends_with("_test.rs") {
            problems.push(format!("{name}: call it tests.rs or *_tests.rs"));
        }
        if name.contains("/src/") && text.lines().any(|line| line.starts_with("#[path")) {
            problems.push(format!("{name} says where a module is, instead of having it where it belongs"));
        }
    }
    complain(&problems);
}

#[test]
fn every_file_has_a_module_comment() {
    let silent = sources().into_iter().filter(|(name, text)| {
        let first = text.trim_start_matches("#!").trim_start();
        !first.starts_with("//!") && !is_test(name)
    });
    complain(&silent.map(|(name, _)| format!("{name} does not begin with a `//!` comment")).collect::<Vec<_>>());
}

#[test]
fn no_ignored_tests_suppressed_lints_or_todos() {
    let attributes = ["ignore", "allow"].map(|name| format!("[{name}"));
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!"));
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if attributes.iter().chain(&macros).any(|mark| code.contains(mark.as_str())) {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    complain(&problems);
}

/// The simulator and xtask share no types with the library, so that a misread field cannot go unnoticed on both sides.
#[test]
fn crates_depend_only_on_allowed_crates() {
    let manifest = |name: &str| fs::read_to_string(workspace_root().join(name)).expect("a manifest");
    assert!(!manifest("crates/mixpanel-simulator/Cargo.toml").contains("mixpanel-data"));
    assert!(!manifest("xtask/Cargo.toml").contains("mixpanel-"));
    let library = manifest("crates/mixpanel-data/Cargo.toml");
    let shipped = library.split("[dev-dependencies]").next().unwrap_or_default();
    assert!(!shipped.contains("mixpanel-simulator"), "the library uses the simulator in tests only");
    for name in ["mixpanel-data", "mixpanel-simulator", "mp"] {
        let manifest = manifest(&format!("crates/{name}/Cargo.toml"));
        assert!(!manifest.contains("mixpanel-bench"), "{name} is measured, and does not know of it");
    }
    for (name, text) in sources() {
        let is_kill_point = name.ends_with("/kill_point.rs");
        if name.starts_with("crates/mixpanel-data/src/") && !is_test(&name) && !is_kill_point {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            // `split_paths` does not read the environment.
            let reads = |line: &str| line.replace("std::env::split_paths", "").contains("std::env::");
            assert!(!code.clone().any(reads), "{name} reads the environment");
            assert!(code.clone().all(|line| !line.contains("println!")), "{name} prints");
        }
    }
}

/// Returns the documents in `docs/` that a line mentions, each with its anchor if it has one. A path inside a longer
/// path or a URL does not count.
fn mentions(line: &str) -> Vec<(&str, Option<&str>)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let mut found = Vec::new();
    for (start, _) in line.match_indices("docs/") {
        if line[..start].ends_with(is_part) {
            continue;
        }
        let rest = &line[start..];
        let (path, rest) = rest.split_at(rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()));
        // A trailing full stop ends the sentence.
        let name = path.trim_end_matches('.');
        if !name.ends_with(".md") {
            continue;
        }
        let anchor = rest.strip_prefix('#').filter(|_| name == path).map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_')).unwrap_or(rest.len());
            &rest[..end]
        });
        found.push((name, anchor));
    }
    found
}

/// Returns the anchors that GitHub generates for a document's headings.
fn anchors(document: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors: Vec<String> = Vec::new();
    for line in document.lines() {
        is_code ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title == line || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase().replace(' ', "-");
        anchors.push(kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect());
    }
    anchors
}

#[test]
fn documents_that_are_cited_exist() {
    let documents = files("md");
    let mut problems = Vec::new();
    let mut count = 0;
    for (file, text) in documents.iter().chain(&files("rs")) {
        for (number, line) in text.lines().enumerate() {
            for (name, anchor) in mentions(line) {
                count += 1;
                let place = format!("{file}:{}", number + 1);
                match (documents.iter().find(|(document, _)| document == name), anchor) {
                    (None, _) => problems.push(format!("{place}: there is no {name}")),
                    (Some((_, document)), Some(anchor)) if !anchors(document).iter().any(|known| known == anchor) => {
                        problems.push(format!("{place}: {name} has no heading with the anchor #{anchor}"));
                    }
                    _ => {}
                }
            }
        }
    }
    complain(&problems);
    assert!(count > 50, "the citations were not found");
}

/// Checks sources that `docs/` cites by their path in the library, such as `src/types.rs`.
#[test]
fn sources_that_the_documents_name_exist() {
    let library = workspace_root().join("crates/mixpanel-data");
    let mut count = 0;
    let mut problems = Vec::new();
    for (document, text) in files("md").into_iter().filter(|(name, _)| name.starts_with("docs/")) {
        let names = text.split('`').filter(|name| name.starts_with("src/"));
        for name in names.filter_map(|name| Some(name.split_once(".rs")?.0)) {
            count += 1;
            if !library.join(format!("{name}.rs")).is_file() {
                problems.push(format!("{document} names {name}.rs, which does not exist"));
            }
        }
    }
    complain(&problems);
    assert!(count > 20, "the sources were not found in the documents: {count}");
}

#[test]
fn citations_and_anchors_are_recognised() {
    // This file is checked too, so the documents cited here must exist.
    let table = [
        ("as `docs/mixpanel-api.md#page-size`, or", Some(("docs/mixpanel-api.md", Some("page-size")))),
        ("see [it](docs/performance.md) there", Some(("docs/performance.md", None))),
        ("see docs/decisions/0006-quota.md.", Some(("docs/decisions/0006-quota.md", None))),
        ("docs/export-methods.mdx and docs/decisions", None),
        ("https://example.org/blob/main/docs/guide.md", None),
    ];
    for (line, expected) in table {
        assert_eq!(mentions(line).first().copied(), expected, "{line}");
    }
    let document = "# A `b_c`: d, e & f\n```\n# code\n```\n#no heading\ntext\n## Zwölf";
    assert_eq!(anchors(document), ["a-b_c-d-e--f", "zwölf"]);
}
