//! House rules of the Python sources, which hold without a Python.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;

/// Returns the paths and contents of the package's sources and tests.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let mut directories = vec![root.join("mixpanel_data"), root.join("tests")];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|own| own == "py" || own == "pyi") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 2, "the sources were not found");
    found
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
    });
    complain(&long.collect::<Vec<_>>());
}

#[test]
fn every_module_begins_with_its_docstring() {
    let silent = sources().into_iter().filter(|(path, text)| {
        let is_stub = path.extension().is_some_and(|own| own == "pyi");
        !is_stub && !["\"\"\"", "r\"\"\""].iter().any(|quotes| text.starts_with(quotes))
    });
    complain(&silent.map(|(path, _)| format!("{} has no docstring", path.display())).collect::<Vec<_>>());
}

#[test]
fn silenced_type_errors_are_named() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line.contains("# type: ignore") && !line.contains("# type: ignore[") {
                problems.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    complain(&problems);
}
