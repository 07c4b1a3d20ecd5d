//! The directory for data that does not fit into a load's memory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::access::spill_directory;

/// The private directory to which a load spills; removed when dropped.
pub(super) struct Spill(PathBuf);

impl Spill {
    /// Creates the directory after removing the leftovers of a killed load.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn create(stage_directory: &Path) -> Result<Self> {
        let directory = spill_directory(stage_directory);
        // A killed load may have left gigabytes.
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove what a killed load left in", &directory, error));
            }
            _ => {}
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&directory).map_err(|error| Error::io("create the directory", &directory, error))?;
        Ok(Self(directory))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Anything left behind is removed with the stage.
        let _ = fs::remove_dir_all(&self.0);
    }
}
