//! Files and directories of the stage. They are written atomically, and only their owner can read them, because
//! profiles are personal data.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::RUN_LOCK_ATTEMPTS;
use crate::mutant::{Mutant, is_active};

/// Writes a file atomically and durably, replacing any file of that name.
pub(super) fn replace_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(directory, name)?;
    file.write_all(bytes).map_err(|error| Error::io("write", &directory.join(name), error))?;
    file.finish(name)
}

/// A file being written under a temporary name. It does not count until [`finish`](Self::finish) gives it its final
/// name.
#[derive(Debug)]
pub(super) struct NewFile {
    directory: PathBuf,
    temporary: PathBuf,
    /// The path shown in errors.
    path: PathBuf,
    file: File,
    checksum: crc32fast::Hasher,
    /// The OS error code of a failed write. The encoder that writes here hides it behind its own error.
    failure: Option<i32>,
}

impl NewFile {
    /// Creates the file `.<name>.tmp`.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self> {
        let temporary = directory.join(format!(".{name}.tmp"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
        let checksum = crc32fast::Hasher::new();
        Ok(Self {
            directory: directory.to_owned(),
            temporary,
            path: directory.join(name),
            file,
            checksum,
            failure: None,
        })
    }

    /// Returns the error of a failed write, if there was one.
    pub(super) fn failure(&self) -> Option<Error> {
        let error = io::Error::from_raw_os_error(self.failure?);
        Some(Error::io("write", &self.path, error))
    }

    /// Returns the checksum of the bytes written so far.
    pub(super) fn checksum(&self) -> u32 {
        self.checksum.clone().finalize()
    }

    /// Makes the file durable under its final name: syncs it, renames it, then syncs the directory.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn finish(self, name: &str) -> Result<()> {
        let Self { directory, temporary, file, .. } = self;
        let path = directory.join(name);
        kill_point("file-written");
        file.sync_all().map_err(|error| Error::io("write to disk", &path, error))?;
        drop(file);
        kill_point("file-synced");
        if is_active(Mutant::PageNotRenamed) && name.starts_with("page-") {
            return Ok(());
        }
        fs::rename(&temporary, &path).map_err(|error| Error::io("move a new file to", &path, error))?;
        kill_point("file-renamed");
        sync_directory(&directory)
    }

    /// Writes the bytes to disk, so that [`finish`](Self::finish) has less to wait for.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::io("write to disk", &self.path, error))
    }

    /// Leaves half of the file under its temporary name, as a killed process does.
    #[cfg(test)]
    pub(super) fn leave_half(self) {
        let half = self.file.metadata().unwrap().len() / 2;
        self.file.set_len(half).unwrap();
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(count) => {
                self.checksum.update(&bytes[..count]);
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failure = self.failure.or(error.raw_os_error());
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file being written that is removed when this value is dropped, unless it was taken out.
#[derive(Debug)]
pub(super) struct Disposable {
    file: Option<NewFile>,
    failure: WriteFailure,
}

/// The failure of a write, which the encoder hides behind its own error.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteFailure(Arc<OnceLock<(PathBuf, i32)>>);

impl WriteFailure {
    /// Returns the error, if there was one.
    pub(super) fn get(&self) -> Option<Error> {
        self.0.get().map(|(path, code)| Error::io("write", path, io::Error::from_raw_os_error(*code)))
    }
}

impl Disposable {
    pub(super) fn new(file: NewFile) -> Self {
        Self { file: Some(file), failure: WriteFailure::default() }
    }

    /// Returns what will hold the failure of a write, even when this value is gone.
    pub(super) fn failure(&self) -> WriteFailure {
        self.failure.clone()
    }

    /// Writes the bytes to disk.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), NewFile::sync)
    }

    /// Returns the file, which is then kept.
    pub(super) fn take(mut self) -> Option<NewFile> {
        self.file.take()
    }
}

impl Drop for Disposable {
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && let Err(error) = fs::remove_file(&file.temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The next process that opens the stage removes it.
            tracing::warn!("cannot remove `{}`: {error}", file.temporary.display());
        }
    }
}

impl Write for Disposable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write(bytes);
        if let Some(code) = file.failure {
            let _ = self.failure.0.set((file.path.clone(), code));
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), NewFile::flush)
    }
}

/// Creates the directory that holds the stages, and its parents, if missing.
///
/// # Errors
/// `Storage` when the directory is a symbolic link or belongs to another user: a user who can change staged files can
/// change the table.
pub(super) fn make_root(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(|error| Error::io("create the directory", path, error))?;
    let found = fs::symlink_metadata(path).map_err(|error| Error::io("access", path, error))?;
    #[cfg(unix)]
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    let is_ours = true;
    if found.is_dir() && is_ours {
        return Ok(());
    }
    let message =
        format!("`{}` is a link or belongs to another user; refusing to store fetched pages there", path.display());
    Err(Error::new(ErrorKind::Storage, message).with_path(path))
}

/// Creates a directory that must not exist yet.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(|error| Error::io("create the directory", path, error))
}

/// Returns the parent directory of a path; `.` for a bare file name.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Syncs a directory, where the file system supports it, to make the names in it durable.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    durable::sync_directory(path).map_err(|error| Error::io("sync the directory", path, error))?;
    Ok(())
}

/// Opens a regular file for reading. Rejects anything else, such as a pipe, without blocking.
pub(super) fn open_file(path: &Path) -> Result<File> {
    regular(OpenOptions::new().read(true), path).map_err(|error| Error::io("read", path, error))
}

/// Opens a lock file, creating it if it is missing.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    regular(&mut options, path)
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Locks a run for this process. The lock is released when the process exits, even if it is killed.
///
/// # Errors
/// `RunBusy`, with the process that holds the lock in the detail `holding_pid`; `Storage`.
pub(super) fn lock_directory(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let mut file = open_lock(&path).map_err(|error| Error::io("lock", &path, error))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            // A process that lists the runs briefly locks each of them.
            Err(fs::TryLockError::WouldBlock) if attempt < RUN_LOCK_ATTEMPTS => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(fs::TryLockError::WouldBlock) => return Err(busy(directory, read_holder(&path))),
            Err(fs::TryLockError::Error(error)) if durable::is_unsupported(&error) => match living_holder(&path) {
                Some(pid) if pid != std::process::id() => return Err(busy(directory, Some(pid))),
                _ => break,
            },
            Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| Error::io("write", &path, error))?;
    Ok(file)
}

/// Returns the id of the process that holds a run, if any; 0 if the id is unknown.
pub(super) fn holder(directory: &Path) -> Option<u32> {
    let path = directory.join("lock");
    let file = open_file(&path).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Some(read_holder(&path).unwrap_or(0)),
        Err(fs::TryLockError::Error(error)) if durable::is_unsupported(&error) => living_holder(&path),
        _ => None,
    }
}

/// Returns the process that last locked a run, if it is alive. Without file locks, this is the best available check.
fn living_holder(lock: &Path) -> Option<u32> {
    let pid = read_holder(lock)?;
    #[cfg(unix)]
    {
        let id = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)?;
        // A permission error also means that the process exists.
        if rustix::process::test_kill_process(id) == Err(rustix::io::Errno::SRCH) {
            return None;
        }
    }
    Some(pid)
}

fn read_holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    // Enough for a process id and a line break.
    open_file(path).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn busy(directory: &Path, holder: Option<u32>) -> Error {
    let by = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    let run = directory.file_name().unwrap_or_default().to_string_lossy();
    Error::new(ErrorKind::RunBusy, format!("{by} is working on run `{run}`"))
        .with_detail("holding_pid", holder.map_or(serde_json::Value::Null, serde_json::Value::from))
        .with_path(directory)
}
