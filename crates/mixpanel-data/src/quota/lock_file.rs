//! Opens the ledger's files. They must be regular files, and new ones are accessible only to this user.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind as IoErrorKind;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Creates a directory and its missing parents, accessible only to this user.
pub(super) fn make_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(directory).map_err(|error| Error::io("create the directory", directory, error))
}

/// Opens a file that serves only as a lock, and creates it if it is missing.
pub(super) fn open_lock_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    open_regular(&mut options, path).map_err(|unopened| match unopened {
        OpenError::Absent => Error::io("create", path, IoErrorKind::NotFound.into()),
        OpenError::Failed(error) => error,
    })
}

/// Why a file was not opened.
pub(super) enum OpenError {
    Absent,
    Failed(Error),
}

/// Opens a regular file; a new file is accessible only to this user. Rejects links, and pipes and devices, which could
/// block.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> Result<File, OpenError> {
    let unusable = |what: &str| {
        let message = format!("cannot use `{}`: it is {what}", path.display());
        OpenError::Failed(Error::new(ErrorKind::Storage, message).with_path(path))
    };
    let file = match private(options).open(path) {
        Ok(file) => file,
        Err(_) if path.is_symlink() => return Err(unusable("a symbolic link")),
        Err(error) if error.kind() == IoErrorKind::NotFound => return Err(OpenError::Absent),
        Err(error) => return Err(OpenError::Failed(Error::io("open", path, error))),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(unusable("not a regular file")),
        Err(error) => Err(OpenError::Failed(Error::io("access", path, error))),
    }
}

/// Sets the options so that a new file is accessible only to this user and opening a link fails.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    options
}
