//! Finds or fetches the DuckDB library.
//!
//! The sources are tried in this order: `DUCKDB_LIB_DIR`, a copy fetched earlier, the npm package, DuckDB's releases,
//! and the source code. The resulting path is the same every time, because cargo rebuilds everything that depends on
//! DuckDB when it changes.

use std::path::{Path, PathBuf};

use crate::cache::{self, Fetching, State};
use crate::failure::{Failure, Unavailable};
use crate::paths::{self, Paths};
use crate::platform::{self, ENGINE_VERSION, NPM_VERSION, Platform};
use crate::{duckdb_download, npm};

/// The DuckDB library to link against.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A prebuilt library in this directory.
    Prebuilt(PathBuf),
    /// No prebuilt library: cargo compiles DuckDB.
    FromSource,
}

/// Finds the library, and fetches it if necessary.
pub(crate) fn find(places: &Paths) -> Result<Engine, Failure> {
    if let Some(directory) = paths::non_empty("DUCKDB_LIB_DIR") {
        return chosen(Path::new(&directory)).map(Engine::Prebuilt);
    }
    let Some(platform) = Platform::this() else {
        warn_about_source("DuckDB publishes no library for this platform");
        return Ok(Engine::FromSource);
    };
    if let Some(directory) = fetched_earlier(places, platform, warn_about_damage) {
        return Ok(Engine::Prebuilt(directory));
    }
    fetch(places, platform)
}

/// Returns the directory in `DUCKDB_LIB_DIR` as an absolute path, if it contains the library.
fn chosen(directory: &Path) -> Result<PathBuf, Failure> {
    let library = platform::library_name();
    let directory = std::path::absolute(directory)
        .map_err(|error| Failure::new(format!("DUCKDB_LIB_DIR is {}: {error}", directory.display())))?;
    if directory.join(&library).is_file() {
        return Ok(directory);
    }
    Err(Failure::new(format!("DUCKDB_LIB_DIR is {}, but there is no {library} in it", directory.display()))
        .hint("correct it, or unset it to fetch the engine"))
}

/// Returns the cache directories for the library from npm and from DuckDB's releases.
fn directories(places: &Paths, platform: &Platform) -> [PathBuf; 2] {
    [NPM_VERSION.to_owned(), format!("{ENGINE_VERSION}-release")]
        .map(|version| places.engines().join(format!("{version}-{}", platform.name)))
}

/// Finds an intact library that was fetched earlier; calls `on_damage` with the first damaged file of each other one.
fn fetched_earlier(places: &Paths, platform: &Platform, on_damage: fn(&Path)) -> Option<PathBuf> {
    directories(places, platform).into_iter().find(|directory| match cache::state(directory, platform.files) {
        State::Intact => true,
        State::Missing => false,
        State::Damaged(file) => {
            on_damage(&file);
            false
        }
    })
}

fn fetch(places: &Paths, platform: &Platform) -> Result<Engine, Failure> {
    let fetching = Fetching::begin(places)?;
    // Another process may have fetched it while this one waited for the lock.
    if let Some(directory) = fetched_earlier(places, platform, |_| ()) {
        return Ok(Engine::Prebuilt(directory));
    }
    let [npm_directory, release_directory] = directories(places, platform);
    if let Some(pin) = platform.npm_sha256 {
        match npm::fetch(platform, pin, make_room(&fetching)?)? {
            Ok(()) => return publish(&fetching, platform, npm_directory),
            Err(Unavailable(reason)) => eprintln!("engine: not from npm: {reason}"),
        }
    }
    match duckdb_download::fetch(places, platform, make_room(&fetching)?) {
        Ok(()) => publish(&fetching, platform, release_directory),
        Err(Unavailable(reason)) => {
            warn_about_source(&reason);
            Ok(Engine::FromSource)
        }
    }
}

fn make_room(fetching: &Fetching) -> Result<&Path, Failure> {
    fetching.empty_directory().map_err(|error| Failure::new(format!("cannot write to the target directory: {error}")))
}

fn publish(fetching: &Fetching, platform: &Platform, directory: PathBuf) -> Result<Engine, Failure> {
    cache::publish(fetching.directory(), platform.files, &directory)
        .map_err(|error| Failure::new(format!("cannot copy the engine to {}: {error}", directory.display())))?;
    eprintln!("engine: DuckDB {ENGINE_VERSION} is in {}", directory.display());
    Ok(Engine::Prebuilt(directory))
}

fn warn_about_damage(file: &Path) {
    eprintln!("engine: ignoring {}, which differs from the fetched library", file.display());
}

fn warn_about_source(reason: &str) {
    eprintln!("engine: no prebuilt DuckDB: {reason}");
    eprintln!(
        "engine: WARNING: DuckDB will be compiled from source, which takes 20 minutes to an hour on 2 cores, once."
    );
    eprintln!(
        "engine: To avoid that, stop now and install npm, or point DUCKDB_LIB_DIR at a DuckDB {ENGINE_VERSION} library."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_directory_without_the_library_is_refused_by_name() {
        let failure = chosen(Path::new("no-such-directory")).unwrap_err().to_string();
        assert!(failure.contains("no-such-directory") && failure.contains(&platform::library_name()), "{failure}");
        assert!(failure.contains("hint: "), "{failure}");
    }

    #[test]
    fn engines_of_different_origin_never_share_a_directory() {
        let places = Paths { root: PathBuf::from("r"), target: PathBuf::from("t") };
        if let Some(platform) = Platform::this() {
            let [npm, release] = directories(&places, platform);
            assert_ne!(npm, release);
            assert!(npm.ends_with(format!("duckdb-engine/1.5.5-r.5-{}", platform.name)), "{}", npm.display());
        }
    }
}
