//! What is in a wheel, and what its module exports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::python::Environment;

/// The function with which Python loads the module.
pub(super) const INIT: &str = "PyInit__core";

/// Files that every wheel has, besides the module.
const FILES: [&str; 3] = ["mixpanel_data/__init__.py", "mixpanel_data/_core.pyi", "mixpanel_data/py.typed"];

/// Unpacks a wheel, and returns the path of its module.
pub(super) fn unpack(environment: &Environment, wheel: &Path, directory: &Path) -> Result<PathBuf, Failure> {
    let mut zip = environment.python(["-m", "zipfile", "-e"]);
    zip.arg(wheel).arg(directory);
    super::run(zip, "python -m zipfile")?;
    let module = if cfg!(windows) { "mixpanel_data/_core.pyd" } else { "mixpanel_data/_core.abi3.so" };
    for file in FILES.into_iter().chain([module]) {
        if !directory.join(file).is_file() {
            return Err(Failure::new(format!("the wheel has no {file}")).hint("check [tool.maturin] in pyproject.toml"));
        }
    }
    let modules =
        names(&directory.join("mixpanel_data")).filter(|name| name.starts_with("_core") && !name.ends_with(".pyi"));
    if modules.count() > 1 {
        return Err(Failure::new("the wheel has a second native module").hint("remove it from python/mixpanel_data"));
    }
    Ok(directory.join(module))
}

fn names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Checks that the module exports only [`INIT`].
///
/// Any other symbol could be bound to the same one of another library in the process: a second DuckDB, which many
/// Python programs load, has the same names.
pub(super) fn check_exports(module: &Path) -> Result<(), Failure> {
    let options: &[&str] = if cfg!(target_os = "macos") { &["-gU"] } else { &["-D", "--defined-only"] };
    let output = Command::new("nm")
        .args(options)
        .arg(module)
        .output()
        .map_err(|error| Failure::new(format!("cannot run nm: {error}")).hint("install binutils"))?;
    if !output.status.success() {
        return Err(Failure::new(format!("nm failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let exported = symbols(&listed);
    if exported == [INIT] {
        return Ok(());
    }
    let shown: Vec<&str> = exported.iter().copied().take(10).collect();
    Err(Failure::new(format!(
        "the module exports {} symbols instead of {INIT} alone: {}",
        exported.len(),
        shown.join(", ")
    )))
}

/// Returns the names that nm printed, without the underscore that macOS puts before each.
fn symbols(listed: &str) -> Vec<&str> {
    let names = listed.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.map(|name| if name.starts_with("_PyInit_") { &name[1..] } else { name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_symbols_are_read_on_every_system() {
        let linux = "0000000000a1b2c0 T PyInit__core\n0000000000000010 D duckdb_version\n";
        assert_eq!(symbols(linux), [INIT, "duckdb_version"]);
        assert_eq!(symbols("00000000000a1b2c T _PyInit__core\n"), [INIT]);
        assert!(symbols("").is_empty());
    }
}
