//! The pages that are staged beside a database, seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of unfinished runs, each with the pages of its present session that are in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) runs: BTreeMap<String, BTreeSet<u64>>,
    /// Whether a folder is there that was being removed.
    pub(super) has_remains: bool,
}

impl Staged {
    /// Looks beside this database.
    pub(super) fn look(database: &Path) -> Self {
        let mut staged = Self::default();
        for (name, folder) in entries(&root(database)) {
            if name.starts_with('.') {
                staged.has_remains = true;
            } else {
                staged.runs.insert(name, pages(&folder));
            }
        }
        staged
    }

    /// All pages that are staged.
    pub(super) fn pages(&self) -> BTreeSet<u64> {
        self.runs.values().flatten().copied().collect()
    }
}

/// The folder of all stages of a database.
pub(super) fn root(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".stage");
    database.with_file_name(name)
}

fn pages(folder: &Path) -> BTreeSet<u64> {
    let generation = |name: &str| name.strip_prefix("generation-")?.parse::<u64>().ok();
    let newest = entries(folder).into_iter().filter_map(|(name, path)| Some((generation(&name)?, path))).max();
    let Some((_, newest)) = newest else { return BTreeSet::new() };
    // The number is followed by a checksum.
    let page = |name: &str| name.strip_prefix("page-")?.strip_suffix(".parquet")?.split('-').next()?.parse().ok();
    entries(&newest).into_iter().filter_map(|(name, _)| page(&name)).collect()
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

/// Names the files and folders of a database and its stages that others could read or write.
pub(super) fn open_to_others(database: &Path) -> Vec<String> {
    let folder = database.parent().unwrap_or(Path::new("."));
    let base = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ours = entries(folder).into_iter().filter(|(name, _)| name.starts_with(&base)).map(|(_, path)| path);
    let mut left: Vec<PathBuf> = ours.collect();
    let mut open = Vec::new();
    while let Some(path) = left.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if is_open(&found) {
            open.push(path.display().to_string());
        }
        if found.is_dir() {
            left.extend(entries(&path).into_iter().map(|(_, path)| path));
        }
    }
    open
}

#[cfg(unix)]
fn is_open(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_newest_session_that_are_in_place_count() {
        let folder = std::env::temp_dir().join(format!("xtask-staged-{}", std::process::id()));
        let database = folder.join("x.db");
        let run = root(&database).join("run-1");
        for (generation, name) in [
            (0, "page-000001-00c0ffee.parquet"),
            (1, "page-000007-b5898f8f.parquet"),
            (1, ".page-000008-b5898f8f.parquet.tmp"),
            (1, "rejects-000007-b5898f8f.parquet"),
        ] {
            let pages = run.join(format!("generation-{generation}"));
            fs::create_dir_all(&pages).unwrap();
            fs::write(pages.join(name), "").unwrap();
        }
        fs::create_dir(root(&database).join(".removed-run-0")).unwrap();
        let staged = Staged::look(&database);
        assert_eq!((staged.pages(), staged.has_remains), (BTreeSet::from([7]), true));
        assert_eq!(staged.runs.len(), 1);
        assert_eq!(open_to_others(&database).is_empty(), cfg!(not(unix)));
        fs::remove_dir_all(&folder).unwrap();
    }
}
