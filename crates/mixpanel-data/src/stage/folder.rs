//! The folder of one run: made, locked, filled page by page, removed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::types::ProfileWriteTask;

use super::manifest::{Manifest, SessionFacts};
use super::page_file::write_page;

/// A run's folder, held under a lock as long as this value lives.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    folder: PathBuf,
    manifest: Manifest,
    lock: File,
}

impl Stage {
    /// Makes the folder of a new run, `<database>.stage/<run id>`, with its manifest.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` that names the path.
    pub(crate) fn create(database: &Path, manifest: Manifest) -> Result<Self> {
        let root = stage_root(database);
        make_folder(&root)?;
        let folder = root.join(&manifest.run_id);
        make_folder(&folder)?;
        let lock = lock_folder(&folder)?;
        let stage = Self { root, folder, manifest, lock };
        make_folder(&stage.pages_folder())?;
        stage.write_manifest()?;
        sync_folder(&stage.root)?;
        sync_folder(&folder_of(&stage.root))?;
        Ok(stage)
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes what page 0 said, before any page that depends on it is staged.
    pub(crate) fn record_session(&mut self, facts: SessionFacts) -> Result<()> {
        self.manifest.session = Some(facts);
        self.write_manifest()
    }

    /// Stages a page: when this returns, the page cannot be lost.
    pub(crate) fn write_page(&self, task: &ProfileWriteTask) -> Result<()> {
        let folder = self.pages_folder();
        let name = page_name(task.page_index);
        replace_file(&folder, &name, |file, path| write_page(file, path, task))
    }

    /// Returns where a page is, or will be.
    pub(crate) fn page_path(&self, page_index: u32) -> PathBuf {
        self.pages_folder().join(page_name(page_index))
    }

    /// Removes the folder and all pages. Call it when they are in the table, or are not wanted any more.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(|error| Error::io("remove the stage", &self.folder, error))?;
        drop(self.lock);
        // Other runs may have their folders there; then it stays.
        let _ = fs::remove_dir(&self.root);
        Ok(())
    }

    fn pages_folder(&self) -> PathBuf {
        self.folder.join(format!("generation-{}", self.manifest.generation))
    }

    fn write_manifest(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|error| Error::internal("the manifest cannot be written as JSON").with_source(error))?;
        replace_file(&self.folder, "manifest.json", |mut file, path| {
            file.write_all(&text).map_err(|error| Error::io("write", path, error))?;
            Ok(file)
        })
    }
}

/// Returns the folder beside a database that holds its stages.
pub(crate) fn stage_root(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".stage");
    database.with_file_name(name)
}

fn page_name(page_index: u32) -> String {
    format!("page-{page_index:06}.parquet")
}

/// Puts a file in place whole or not at all: another name first, then its bytes on disk, then the rename, then the
/// folder's entry on disk. Both are only for the owner: profiles are personal data.
fn replace_file(folder: &Path, name: &str, fill: impl FnOnce(File, &Path) -> Result<File>) -> Result<()> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.tmp"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
    let file = fill(file, &path)?;
    file.sync_all().map_err(|error| Error::io("write to disk", &path, error))?;
    drop(file);
    fs::rename(&temporary, &path).map_err(|error| Error::io("put in place", &path, error))?;
    sync_folder(folder)
}

fn make_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(|error| Error::io("create the folder", path, error))
}

/// The folder that a path is in; the current one for a bare name.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Makes the names in a folder durable. Not every system can; on Windows there is nothing to do.
fn sync_folder(path: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io("write the folder to disk", path, error))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Takes the run for this process. The lock goes with the process, however it ends.
fn lock_folder(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&path).map_err(|error| Error::io("create", &path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let message = format!("another process ({}) is working on this run", holder.trim());
            return Err(Error::new(ErrorKind::Storage, message).with_path(folder));
        }
        Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| Error::io("write", &path, error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{RecordForm, parse_page};
    use crate::stage::read_page;

    fn task(page_index: u32) -> ProfileWriteTask {
        let body =
            format!(r#"{{"results":[{{"$distinct_id":"id-{page_index}","$properties":{{"n":1.50E+10}}}},null]}}"#);
        let rows = parse_page(&body, RecordForm::Row).unwrap().rows;
        ProfileWriteTask { page_index, rows, body_sha256: "00".into() }
    }

    fn stage(database: &Path) -> Stage {
        let manifest = Manifest::new("run-1".into(), jiff::Timestamp::UNIX_EPOCH, "12345", "us");
        Stage::create(database, manifest).unwrap()
    }

    #[test]
    fn a_staged_page_reads_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(&folder.path().join("my.db"));
        stage.write_page(&task(7)).unwrap();
        let pages = read_page(&stage.page_path(7)).unwrap();
        let rows: Vec<_> = pages[0].iter().map(|row| (row.distinct_id.to_owned(), row.properties.to_owned())).collect();
        assert_eq!(rows, [("id-7".to_owned(), r#"{"n":1.50E+10}"#.to_owned())]);
        let names: Vec<_> =
            fs::read_dir(stage.pages_folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["page-000007.parquet"], "no temporary file is left");
    }

    #[test]
    fn the_manifest_reads_back_with_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = stage(&folder.path().join("my.db"));
        let facts = SessionFacts { session_id: Some("S".into()), total: Some(5), page_size: 1000 };
        stage.record_session(facts.clone()).unwrap();
        let text = fs::read(stage.folder().join("manifest.json")).unwrap();
        let manifest: Manifest = serde_json::from_slice(&text).unwrap();
        assert_eq!(manifest, stage.manifest);
        assert_eq!(manifest.session, Some(facts));
    }

    #[test]
    fn removing_leaves_nothing_unless_another_run_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("my.db");
        let first = stage(&database);
        let second =
            Stage::create(&database, Manifest::new("run-2".into(), jiff::Timestamp::UNIX_EPOCH, "1", "us")).unwrap();
        first.remove().unwrap();
        assert!(second.folder().is_dir());
        second.remove().unwrap();
        assert!(!stage_root(&database).exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(&folder.path().join("my.db"));
        stage.write_page(&task(0)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(stage.folder()), 0o700);
        assert_eq!(mode(&stage.page_path(0)), 0o600);
        assert_eq!(mode(&stage.folder().join("manifest.json")), 0o600);
    }

    #[test]
    fn a_run_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(&folder.path().join("my.db"));
        let error = lock_folder(stage.folder()).unwrap_err();
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
    }
}
