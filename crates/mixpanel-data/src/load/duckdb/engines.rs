//! Starts the engines of a load in advance, while the program waits for something else. A load of 25,000 profiles takes
//! 0.3 s, and starting its two engines would take another 0.05 s (docs/performance.md, "Small loads").

#[cfg(test)]
mod tests;

use std::path::Path;

use super::digest;
use super::seen::Seen;
use crate::error::Result;
use crate::store::Engine;
use crate::store::database::{CommitError, Database};

/// Starts the engine of a load while the fetch waits for the network. If the database does not exist yet, also writes an
/// empty one into the stage.
///
/// # Errors
/// `Storage`; `Internal` if DuckDB's hash function is not the one of this library.
pub(crate) fn start_in_advance(database: &Path, seen: &Seen, stage_directory: &Path) -> Result<Engine> {
    let mut engine = start_engine()?;
    if !seen.has_file() {
        // After an error, the load creates the database itself, and reports why it cannot.
        let _written = engine.write_empty_database(stage_directory, database);
    }
    Ok(engine)
}

/// Starts an engine, and checks that its hashes can be compared with those of this library.
///
/// # Errors
/// `Storage`, `Internal`.
pub(super) fn start_engine() -> Result<Engine> {
    let engine = Engine::start()?;
    digest::check_engine(engine.connection())?;
    Ok(engine)
}

/// Commits. While the commit waits for the disk, starts the engine with which the file is checked afterwards.
pub(super) fn commit_and_start_engine(database: Database) -> (Result<(), CommitError>, Option<Engine>) {
    std::thread::scope(|threads| {
        let starting = std::thread::Builder::new().spawn_scoped(threads, Engine::start);
        let committed = database.commit();
        // After an error, the check starts an engine itself, and reports why it cannot.
        let engine = starting.ok().and_then(|starting| starting.join().ok()).and_then(Result::ok);
        (committed, engine)
    })
}
