//! Lists the unfinished runs from their stage directories.

use std::fs::{self, DirEntry};
use std::path::Path;

use crate::error::{Error, Result};

use super::directory::{EPOCH_PREFIX, REMOVED_PREFIX, epoch_directory_name, read_manifest, remove_run, take};
use super::files::holder;
use super::manifest::Manifest;
use super::names::{Content, Name};
use super::root::{StageRoots, sweep_turn};

/// Prefix of the directories that hold the pages of a stream. A stream cannot be resumed.
pub(crate) const STREAM_PREFIX: &str = "stream-";

/// An unfinished run.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The run id.
    pub(crate) run_id: String,
    /// The manifest, or why it cannot be read.
    pub(crate) manifest: Result<Manifest>,
    /// The number of pages of the current session on disk.
    pub(crate) pages_done: u32,
    /// The total size of its files, in bytes.
    pub(crate) bytes: u64,
    /// The id of the process that holds the run; 0 if unknown.
    pub(crate) held_by: Option<u32>,
}

/// Lists the unfinished runs, newest first.
///
/// # Errors
/// `Storage` when the directory of the stages cannot be read.
pub(crate) fn list(roots: &StageRoots) -> Result<Vec<Listed>> {
    let mut runs = Vec::new();
    for root in roots.all() {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read the directory", root, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("read the directory", root, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && !name.starts_with(STREAM_PREFIX) && is_directory(&entry) {
                runs.push(look_at(name, &entry.path()));
            }
        }
    }
    // A run id begins with the start time of the run.
    runs.sort_by(|left, right| right.run_id.cmp(&left.run_id));
    Ok(runs)
}

/// Returns whether an entry is, or may be, the directory of a run. An entry that cannot be examined is listed with the
/// reason rather than left out.
fn is_directory(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => true,
    }
}

fn look_at(run_id: String, directory: &Path) -> Listed {
    let manifest = read_manifest(directory);
    let epoch = manifest.as_ref().map_or_else(|_| latest_epoch(directory), |manifest| manifest.epoch);
    let present = epoch_directory_name(epoch);
    let (mut bytes, mut pages_done) = (0, 0);
    let mut directories = vec![directory.to_owned()];
    while let Some(inner) = directories.pop() {
        let is_present = inner.file_name().is_some_and(|name| *name == *present);
        for entry in fs::read_dir(&inner).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                directories.push(entry.path());
                continue;
            }
            bytes += found.len();
            let name = Name::parse(&entry.file_name().to_string_lossy());
            pages_done += u32::from(is_present && name.is_some_and(|name| name.content == Content::Rows));
        }
    }
    Listed { run_id, manifest, pages_done, bytes, held_by: holder(directory) }
}

/// Returns the latest session epoch of a run, based on the names of its directories.
fn latest_epoch(directory: &Path) -> u32 {
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.strip_prefix(EPOCH_PREFIX)?.parse().ok()).max().unwrap_or(0)
}

/// Removes a run in any state.
///
/// # Errors
/// `RunNotFound`; `RunBusy`; `Storage`.
pub(crate) fn discard(roots: &StageRoots, run_id: &str) -> Result<()> {
    let (root, directory, lock) = take(roots, run_id)?;
    remove_run(&root, &directory)?;
    drop(lock);
    Ok(())
}

/// Removes the leftovers of killed processes: streams, which cannot be resumed, and runs whose creation or removal was
/// interrupted.
/// Best effort: a failed removal is retried next time.
pub(crate) fn sweep(roots: &StageRoots) {
    roots.all().for_each(sweep_root);
}

/// Returns whether a directory is that of a run that was never written: it has no manifest and no other contents. Its
/// lock file has a process id, so that no process is creating it.
fn is_only_begun(directory: &Path) -> bool {
    let is_empty = |entry: &DirEntry| match entry.file_name().to_string_lossy().as_ref() {
        "lock" => entry.metadata().is_ok_and(|lock| lock.len() > 0),
        name if name.starts_with(EPOCH_PREFIX) => {
            fs::read_dir(entry.path()).is_ok_and(|mut files| files.next().is_none())
        }
        _ => false,
    };
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<DirEntry>>>);
    entries.is_ok_and(|entries| !entries.is_empty() && entries.iter().all(is_empty))
}

fn sweep_root(root: &Path) {
    sweep_turn(root);
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // While a stream is being created, its lock file does not contain a process id yet.
        let was_locked = || fs::metadata(entry.path().join("lock")).is_ok_and(|lock| lock.len() > 0);
        let is_left_over = name.starts_with(REMOVED_PREFIX) || (name.starts_with(STREAM_PREFIX) && was_locked());
        let is_left_over = is_left_over || is_only_begun(&entry.path());
        if is_left_over && holder(&entry.path()).is_none() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let _ = fs::remove_dir(root);
}
