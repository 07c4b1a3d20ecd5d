//! Builds what the proof runs: the program with its kill points, and the library's tests.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::{Cargo, KILL_POINTS, cannot_run};
use crate::failure::Failure;

/// What was built.
pub(super) struct Built {
    pub(super) mp: PathBuf,
    pub(super) library_tests: PathBuf,
}

/// Builds the workspace as `cargo xtask test` does, so that whoever has tested builds nothing here.
pub(super) fn build(cargo: &Cargo<'_>, root: &Path) -> Result<Built, Failure> {
    let mut command = cargo.building(&["test", "--workspace", "--tests", "--no-run"]);
    command.args(KILL_POINTS).current_dir(root);
    let (mut mp, mut library_tests) = (None, None);
    for artifact in artifacts(command)? {
        match artifact {
            Artifact::Program { name, path } if name == "mp" => mp = Some(path),
            Artifact::LibraryTests { name, path } if name == "mixpanel_data" => library_tests = Some(path),
            _ => {}
        }
    }
    match (mp, library_tests) {
        (Some(mp), Some(library_tests)) => Ok(Built { mp, library_tests }),
        _ => Err(Failure::new("cargo did not say where it put mp and the library's tests")),
    }
}

/// Something that can be run.
#[derive(Debug, PartialEq, Eq)]
enum Artifact {
    Program { name: String, path: PathBuf },
    LibraryTests { name: String, path: PathBuf },
}

fn artifacts(mut command: Command) -> Result<Vec<Artifact>, Failure> {
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_run(&error))?;
    let output = BufReader::new(child.stdout.take().expect("it was made a pipe"));
    let found = output.lines().map_while(Result::ok).filter_map(|line| artifact(&line)).collect();
    let status = child.wait().map_err(|error| cannot_run(&error))?;
    if status.success() {
        return Ok(found);
    }
    Err(Failure::new(format!("the program could not be built ({status})"))
        .way_out("mend what cargo complains about above"))
}

/// Reads one message of cargo's.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let name = message.pointer("/target/name")?.as_str()?.to_owned();
    let kind = message.pointer("/target/kind/0")?.as_str()?;
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    match (kind, is_test) {
        ("bin", false) => Some(Artifact::Program { name, path }),
        ("lib", true) => Some(Artifact::LibraryTests { name, path }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_tests_are_told_apart() {
        let line = |kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"mp"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let (name, path) = ("mp".to_owned(), PathBuf::from("/t/mp"));
        assert_eq!(
            artifact(&line("bin", false, "\"/t/mp\"")),
            Some(Artifact::Program { name: name.clone(), path: path.clone() })
        );
        assert_eq!(artifact(&line("lib", true, "\"/t/mp\"")), Some(Artifact::LibraryTests { name, path }));
        assert_eq!(artifact(&line("bin", true, "\"/t/mp\"")), None);
        assert_eq!(artifact(&line("lib", false, "null")), None);
        assert_eq!(artifact("no JSON"), None);
    }
}
