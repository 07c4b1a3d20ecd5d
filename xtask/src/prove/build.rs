//! Builds the library's tests and returns the path of the program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::cargo::{Cargo, KILL_POINTS, cannot_run};
use crate::failure::Failure;

/// Builds the library's tests as `cargo xtask test` does, so that nothing is built twice.
pub(super) fn library_tests(cargo: &Cargo<'_>, root: &Path) -> Result<PathBuf, Failure> {
    let mut command = cargo.building(&["test", "--workspace", "--lib", "--no-run"]);
    command
        .args(KILL_POINTS)
        .current_dir(root)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| cannot_run(&error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("the tests could not be built ({})", output.status))
            .way_out("mend what cargo complains about above"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = messages.lines().find_map(executable);
    found.ok_or_else(|| Failure::new("cargo did not say where it put the library's tests"))
}

/// Parses one of cargo's messages, and returns the program if it is the library's tests.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_ours = message.pointer("/target/name")? == "mixpanel_data"
        && message.pointer("/target/kind/0")? == "lib"
        && message.pointer("/profile/test")? == true;
    let path = message.get("executable")?.as_str().filter(|_| is_ours)?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_are_told_from_the_library() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"target":{{"kind":["lib"],"name":"mixpanel_data"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        assert_eq!(executable(&line(true, "\"/t/x\"")), Some(PathBuf::from("/t/x")));
        assert_eq!(executable(&line(false, "null")), None);
        assert_eq!(executable("no JSON"), None);
    }
}
