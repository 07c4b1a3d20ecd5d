//! Temporary directories of `mp demo` and `mp simulate`.

use crate::failure::Failure;

/// Creates a directory that only this user can access. It is removed when the value is dropped.
pub(super) fn temporary_directory(prefix: &str) -> Result<tempfile::TempDir, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new("cannot create a temporary directory")
            .caused_by(&error)
            .hint("set TMPDIR to a directory with free space")
    };
    let parent = std::path::absolute(std::env::temp_dir()).map_err(failed)?;
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent).map_err(failed)
}
