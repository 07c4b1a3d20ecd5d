//! Downloads the library from DuckDB's releases through the duckdb crate.
//!
//! With `DUCKDB_DOWNLOAD_LIB=1`, the crate's build script downloads the files to
//! `<target>/duckdb-download/<triple>/<version>/`. They are copied into the cache, so that their path never changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo_environment;
use crate::failure::Unavailable;
use crate::paths::Paths;
use crate::platform::{ENGINE_VERSION, Platform};

/// Makes the crate download the library, and copies it into `incoming`.
pub(crate) fn fetch(places: &Paths, platform: &Platform, incoming: &Path) -> Result<(), Unavailable> {
    eprintln!(
        "engine: letting the duckdb crate download DuckDB {ENGINE_VERSION} (from its releases, no pinned checksum)"
    );
    let mut build = Command::new(cargo_environment::program());
    build.args(["build", "--locked", "--package", "mixpanel-data", "--no-default-features"]);
    cargo_environment::set_environment(&mut build, places);
    build.current_dir(&places.root).env("DUCKDB_DOWNLOAD_LIB", "1").env_remove("DUCKDB_LIB_DIR");
    let status = build.status().map_err(|error| Unavailable(format!("cannot run cargo: {error}")))?;
    // Ignore the exit status: the build that follows the download may fail for unrelated reasons.
    let Some(downloaded) = downloaded_directory(&places.target, platform) else {
        return Err(Unavailable(format!("the duckdb crate downloaded nothing ({status})")));
    };
    let copies = platform.files.iter().map(|name| fs::copy(downloaded.join(name), incoming.join(name)));
    copies
        .collect::<Result<Vec<_>, _>>()
        .map(drop)
        .map_err(|error| Unavailable(format!("cannot copy the engine in {}: {error}", downloaded.display())))
}

/// Finds the directory of the downloaded files, below the only directory named after a target triple.
fn downloaded_directory(target: &Path, platform: &Platform) -> Option<PathBuf> {
    let triples = fs::read_dir(target.join("duckdb-download")).ok()?;
    triples
        .filter_map(Result::ok)
        .map(|triple| triple.path().join(ENGINE_VERSION))
        .find(|directory| platform.files.iter().all(|name| directory.join(name).is_file()))
}
