//! The paths of the workspace and its target directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The directories that every task needs, as absolute paths.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The workspace root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Paths {
    /// Finds both directories from the environment that cargo sets for the programs it runs.
    pub(crate) fn find() -> Result<Self, Failure> {
        // Prefer the run-time value: in a shared target directory, the compiled-in path may belong to another clone.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.parent().unwrap_or(&manifest_dir).to_path_buf();
        let set = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].iter().find_map(|name| non_empty(name));
        let target = match set {
            Some(directory) => std::path::absolute(&directory).map_err(|error| {
                Failure::new(format!("cannot use the target directory {}: {error}", directory.display()))
            })?,
            None => std::env::current_exe().ok().and_then(|exe| marked_ancestor(&exe)).unwrap_or(root.join("target")),
        };
        Ok(Self { root, target })
    }

    /// Returns the cache directory for fetched DuckDB libraries.
    pub(crate) fn engines(&self) -> PathBuf {
        self.target.join("duckdb-engine")
    }

    /// Returns the directory for virtual environments and assembled Python packages.
    pub(crate) fn python(&self) -> PathBuf {
        self.target.join("python")
    }
}

/// Returns an environment variable; an empty one counts as unset.
pub(crate) fn non_empty(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Finds the ancestor of `exe` that cargo has marked as its target directory.
///
/// This respects `build.target-dir` in any configuration file without having to parse it.
fn marked_ancestor(exe: &Path) -> Option<PathBuf> {
    exe.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_is_the_one_that_cargo_marked() {
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
        let places = Paths::find().unwrap();
        assert!(places.root.join("Cargo.lock").is_file(), "{}", places.root.display());
        assert!(places.target.is_absolute());
    }
}
