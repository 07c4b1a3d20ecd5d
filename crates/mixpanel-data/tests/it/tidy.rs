//! The rules of the house that a compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;

/// Files that hold nothing but tests.
fn is_test(name: &str) -> bool {
    name.contains("/simulation/") || ["_test.rs", "tests.rs", "/testing.rs"].iter().any(|ending| name.ends_with(ending))
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Every Rust source of the workspace, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = workspace_root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
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

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|(name, text)| {
        let first = text.trim_start_matches("#!").trim_start();
        !first.starts_with("//!") && !is_test(name)
    });
    complain(&silent.map(|(name, _)| format!("{name} does not begin with a `//!` comment")).collect::<Vec<_>>());
}

#[test]
fn nothing_is_switched_off_or_left_undone() {
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

/// Which parts of the library a part may name: `fetch` is the only bridge between the API, the stage and the store.
#[test]
fn the_parts_of_the_library_know_only_whom_they_may() {
    let forbidden = [
        ("api", &["fetch", "stage", "store", "workspace"][..]),
        ("parse", &["api", "fetch", "stage", "store", "workspace", "clock"]),
        ("stage", &["api", "fetch", "store", "workspace"]),
        ("store", &["api", "fetch", "stage", "workspace"]),
        ("fetch", &["workspace"]),
    ];
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for (part, others) in forbidden {
            if !name.starts_with(&format!("crates/mixpanel-data/src/{part}/")) || is_test(&name) {
                continue;
            }
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for other in others {
                if code.contains(&format!("crate::{other}::")) {
                    problems.push(format!("{name} knows of `{other}`"));
                }
            }
        }
    }
    complain(&problems);
}

/// The simulator and the chores share no type with the library, so that a misread field cannot hide on both sides.
#[test]
fn the_crates_depend_only_on_whom_they_may() {
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
            // Splitting a list of paths reads nothing.
            let reads = |line: &str| line.replace("std::env::split_paths", "").contains("std::env::");
            assert!(!code.clone().any(reads), "{name} reads the environment");
            assert!(code.clone().all(|line| !line.contains("println!")), "{name} prints");
        }
    }
}
