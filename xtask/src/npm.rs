//! Fetches the library from the npm package of DuckDB's Node.js bindings, which contains the official build.
//!
//! npm is the registry most often mirrored in restricted networks. No code from the package is run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cache;
use crate::failure::{Failure, Unavailable};
use crate::platform::{NPM_VERSION, Platform};

/// Fetches the package for `platform` and extracts the library into `incoming`.
///
/// # Errors
///
/// Returns a [`Failure`] if the archive does not match its pinned checksum, because that has to be investigated. The
/// inner error, after which the next source is tried, means that npm is missing or cannot reach its registry.
pub(crate) fn fetch(platform: &Platform, pin: &str, incoming: &Path) -> Result<Result<(), Unavailable>, Failure> {
    let package = format!("@duckdb/node-bindings-{}@{NPM_VERSION}", platform.name);
    eprintln!("engine: fetching {package} with npm (about 25 MB, once)");
    if let Err(reason) = pack(&package, incoming) {
        return Ok(Err(reason));
    }
    let archive = incoming.join(format!("duckdb-node-bindings-{}-{NPM_VERSION}.tgz", platform.name));
    let sum = match cache::sha256(&archive) {
        Ok(sum) => sum,
        Err(error) => {
            return Ok(Err(Unavailable(format!(
                "npm pack succeeded, but {} is unreadable: {error}",
                archive.display()
            ))));
        }
    };
    if sum != pin {
        return Err(Failure::new(format!(
            "{package} is not the archive that this project pins: SHA-256 {sum}, not {pin}"
        ))
        .hint("ask the owner of your npm mirror, or point DUCKDB_LIB_DIR at a DuckDB 1.5.5 library that you trust"));
    }
    Ok(unpack(&archive, platform, incoming))
}

fn pack(package: &str, incoming: &Path) -> Result<(), Unavailable> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm)
        // Do not retry for an hour on a network that drops packets, because there are other sources.
        .args(["pack", "--loglevel=error", "--fetch-retry-maxtimeout=10000", package])
        .current_dir(incoming)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Unavailable(format!("cannot run npm: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Unavailable(format!("npm pack failed ({}): {}", output.status, first_errors(&stderr))))
}

/// Returns the first lines of npm's error output, without the reference to a log file.
fn first_errors(stderr: &str) -> String {
    let lines = stderr.lines().map(|line| line.trim_start_matches("npm error").trim());
    let telling: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("A complete log")).take(3).collect();
    telling.join("; ")
}

fn unpack(archive: &Path, platform: &Platform, incoming: &Path) -> Result<(), Unavailable> {
    let trouble = |what: &str| Unavailable(format!("cannot unpack {}: {what}", archive.display()));
    let members = platform.files.iter().chain(&["LICENSE"]);
    let output = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .args(members.clone().map(|name| format!("package/{name}")))
        .current_dir(incoming)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| trouble(&format!("cannot run tar: {error}")))?;
    if !output.status.success() {
        return Err(trouble(String::from_utf8_lossy(&output.stderr).trim()));
    }
    for name in members {
        fs::rename(incoming.join("package").join(name), incoming.join(name))
            .map_err(|error| trouble(&error.to_string()))?;
    }
    fs::remove_dir(incoming.join("package"))
        .and_then(|()| fs::remove_file(archive))
        .map_err(|error| trouble(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_survives_and_the_log_file_does_not() {
        let stderr = "npm error code ENOTFOUND\nnpm error network request failed\n\nnpm error A complete log of this run can be found in: x\n";
        assert_eq!(first_errors(stderr), "code ENOTFOUND; network request failed");
    }
}
