//! Locates the stage directories of a database.

use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::StageRoots;

/// Maximum number of symbolic links to follow to a database; a longer chain is treated as a cycle.
const LINKS_MAX: u32 = 40;

/// Returns the directories that may hold stages of a database. The current one is next to the database file itself,
/// after resolving links; earlier versions put stages next to the link.
pub(crate) fn stage_roots(database: &Path) -> StageRoots {
    let root = beside(&resolved(database, LINKS_MAX));
    let by_name = beside(database);
    let is_another = match (fs::canonicalize(&by_name), fs::canonicalize(&root)) {
        (Ok(by_name), Ok(root)) => by_name != root,
        (found, _) => found.is_ok(),
    };
    StageRoots { root, earlier: is_another.then_some(by_name) }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".stage");
    database.with_file_name(name)
}

/// Resolves all links in a path, even if the target does not exist.
fn resolved(path: &Path, links: u32) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else { return absolute };
    let Some(links) = links.checked_sub(1) else { return absolute };
    match fs::read_link(&absolute) {
        Ok(target) => resolved(&parent.join(target), links),
        Err(_) => resolved(parent, links).join(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn all_paths_to_a_file_share_one_stage_root() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("real")).unwrap();
        symlink("real", at("linked")).unwrap();
        symlink("real/x.db", at("link.db")).unwrap();
        symlink("link.db", at("second.db")).unwrap();
        symlink("circle.db", at("circle.db")).unwrap();
        let root = fs::canonicalize(at("real")).unwrap().join("x.db.stage");
        let names = ["real/x.db", "linked/x.db", "real/../linked/./x.db", "link.db", "second.db"];
        for exists in [false, true] {
            for name in names {
                assert_eq!(stage_roots(&at(name)).root, root, "{name}, {exists}");
            }
            fs::write(at("real/x.db"), "").unwrap();
        }
        let below = fs::canonicalize(at("real")).unwrap().join("new/y.db.stage");
        assert_eq!(stage_roots(&at("linked/new/y.db")).root, below);
        // The result does not matter, only that the call returns.
        let _circle = stage_roots(&at("circle.db"));
        fs::create_dir(at("link.db.stage")).unwrap();
        let earlier = Some(at("link.db.stage"));
        assert_eq!(stage_roots(&at("link.db")), StageRoots { root: root.clone(), earlier });
        assert_eq!(stage_roots(&at("real/x.db")), StageRoots { root, earlier: None });
    }
}
