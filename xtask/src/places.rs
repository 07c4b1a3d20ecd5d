//! Where the workspace and its target folder are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folders that every task needs, as absolute paths.
#[derive(Debug)]
pub(crate) struct Places {
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Places {
    /// Finds both from what cargo tells the programs that it runs.
    pub(crate) fn find() -> Result<Self, Failure> {
        // At run time first: with a shared target folder, the compiled-in path can be another clone's.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.parent().unwrap_or(&manifest_dir).to_path_buf();
        let set = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].iter().find_map(|name| non_empty(name));
        let target = match set {
            Some(folder) => std::path::absolute(&folder).map_err(|error| {
                Failure::new(format!("the target folder {} cannot be used: {error}", folder.display()))
            })?,
            None => std::env::current_exe().ok().and_then(|exe| marked_ancestor(&exe)).unwrap_or(root.join("target")),
        };
        Ok(Self { root, target })
    }

    /// The folder that holds fetched engines.
    pub(crate) fn engines(&self) -> PathBuf {
        self.target.join("duckdb-engine")
    }
}

/// Reads an environment variable; one that is set to nothing counts as not set.
pub(crate) fn non_empty(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Finds the folder above `exe` that cargo has marked as its target folder.
///
/// This honours a `build.target-dir` of any configuration file without reading any.
fn marked_ancestor(exe: &Path) -> Option<PathBuf> {
    exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_one_that_cargo_marked() {
        let target = std::env::temp_dir().join(format!("xtask-places-{}", std::process::id()));
        let exe = target.join("debug").join("xtask");
        std::fs::create_dir_all(&exe).unwrap();
        assert_eq!(marked_ancestor(&exe), None);
        std::fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(marked_ancestor(&exe), Some(target.clone()));
        std::fs::remove_dir_all(&target).unwrap();
    }

    #[test]
    fn the_root_of_the_workspace_holds_the_lock_file() {
        let places = Places::find().unwrap();
        assert!(places.root.join("Cargo.lock").is_file(), "{}", places.root.display());
        assert!(places.target.is_absolute());
    }
}
