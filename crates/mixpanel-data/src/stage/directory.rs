//! The stage of a single run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::text::printable;

use super::files::{
    NewFile, directory_of, lock_directory, make_directory, make_root, open_file, replace_file, sync_directory,
};
use super::manifest::{FORMAT, FORMAT_OF_EVENTS, Manifest, SessionFacts};
use super::names::{Content, Name, files_in};
use super::part_file::{Part, StagedPage, read_facts, write_rejects, write_rows};
use super::root::StageRoots;
use super::slice_plan::SliceRecord;

const MANIFEST: &str = "manifest.json";

/// Prefix of the directories that hold the pages of one session epoch.
pub(super) const EPOCH_PREFIX: &str = "generation-";

/// Prefix of a directory that is being removed. The rename removes the run; deleting the files is only cleanup.
pub(super) const REMOVED_PREFIX: &str = ".removed-";

/// The directory of a run, locked until this value is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    directory: PathBuf,
    manifest: Manifest,
    /// The files of the current session that are known to be complete.
    files: BTreeMap<(u32, Content), PathBuf>,
    _lock: File,
}

impl Stage {
    /// Creates the directory of a new run, named after its id, and writes its manifest.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`, with the path.
    pub(crate) fn create(roots: &StageRoots, manifest: Manifest) -> Result<Self> {
        let root = roots.root.clone();
        let directory = root.join(&manifest.run_id);
        // A process that removes the last run also removes the root, possibly between these two calls.
        make_root(&root).and_then(|()| make_directory(&directory)).or_else(|_| {
            make_root(&root)?;
            make_directory(&directory)
        })?;
        Self::fill(root, directory.clone(), manifest).inspect_err(|_| {
            // Without a manifest, it would be listed as a run that cannot be read.
            let _ = remove_run(&roots.root, &directory);
        })
    }

    fn fill(root: PathBuf, directory: PathBuf, manifest: Manifest) -> Result<Self> {
        let lock = lock_directory(&directory)?;
        let stage = Self { root, directory, manifest, files: BTreeMap::new(), _lock: lock };
        make_directory(&stage.pages_directory(stage.manifest.epoch))?;
        stage.write_manifest()?;
        sync_directory(&stage.root)?;
        sync_directory(&directory_of(&stage.root))?;
        Ok(stage)
    }

    /// Locks and opens the stage of an earlier run.
    ///
    /// # Errors
    /// `RunNotFound`; `RunBusy`, with the process that holds the run; `Storage` when its manifest cannot be read.
    pub(crate) fn open(roots: &StageRoots, run_id: &str) -> Result<Self> {
        let (root, directory, lock) = take(roots, run_id)?;
        let manifest = read_manifest(&directory)?;
        Ok(Self { root, directory, manifest, files: BTreeMap::new(), _lock: lock })
    }

    /// Returns the path of the stage directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the manifest of the run.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Updates the manifest. The change is durable when this returns.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`; the file then still holds the old manifest.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        change(&mut self.manifest);
        self.write_manifest()
    }

    /// Records the session facts from page 0, before any page that depends on them is staged.
    pub(crate) fn record_session(&mut self, facts: SessionFacts) -> Result<()> {
        self.update(|manifest| manifest.session = Some(facts))
    }

    /// Records a changed plan of slices, before any slice that it adds is staged.
    pub(crate) fn record_plan(&mut self, slices: Vec<SliceRecord>) -> Result<()> {
        self.update(|manifest| manifest.slices = slices)
    }

    /// Starts a new session epoch. Pages of the previous session stay in their own directory and are no longer used.
    pub(crate) fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let pages = self.pages_directory(epoch);
        if !pages.is_dir() {
            make_directory(&pages)?;
        }
        self.files.clear();
        self.update(|manifest| {
            manifest.epoch = epoch;
            manifest.session = None;
            manifest.session_over = None;
            manifest.lacking = 0;
            manifest.counted_pages = Some(0);
            manifest.counts.short_pages.clear();
            manifest.counts.session_restarts += 1;
        })
    }

    /// Stages a part. The part is durable when this returns.
    ///
    /// The rejects are written first, to a separate file, which is ignored unless the rows are staged as well.
    pub(crate) fn write_part(&mut self, part: &Part<'_>) -> Result<()> {
        if !part.rejects.is_empty() {
            self.write_file(Content::Rejects, part, write_rejects)?;
        }
        self.write_file(Content::Rows, part, write_rows)?;
        kill_point("page-staged");
        Ok(())
    }

    fn write_file(
        &mut self,
        content: Content,
        part: &Part<'_>,
        write: fn(&mut NewFile, &Part<'_>) -> Result<()>,
    ) -> Result<()> {
        let directory = self.pages_directory(self.manifest.epoch);
        let mut file = NewFile::create(&directory, &content.unfinished_name(part.number))?;
        write(&mut file, part)?;
        let name = content.name(part.number, file.checksum());
        file.finish(&name)?;
        self.files.insert((part.number, content), directory.join(name));
        Ok(())
    }

    /// Returns the pages of the current session that an earlier process staged, in page order. Removes damaged and
    /// incomplete pages, so that they are requested again.
    ///
    /// # Errors
    /// `Storage` when the directory cannot be read or cleaned up.
    pub(crate) fn find_pages(&mut self) -> Result<Vec<StagedPage>> {
        let directory = self.pages_directory(self.manifest.epoch);
        self.files.clear();
        let entries = fs::read_dir(&directory).map_err(|error| Error::io("read the directory", &directory, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("read the directory", &directory, error))?;
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            match Name::parse(&name) {
                Some(name) if !name.matches(&path)? => remove(&path, "its checksum does not match")?,
                Some(name) => drop(self.files.insert((name.page, name.content), path)),
                None if name.ends_with(".tmp") => remove(&path, "it is incomplete")?,
                None => {}
            }
        }
        let is_of_rows = |(page, content): &(u32, Content)| (*content == Content::Rows).then_some(*page);
        let candidates: Vec<u32> = self.files.keys().filter_map(is_of_rows).collect();
        let mut pages = Vec::new();
        for page in candidates {
            let path = self.page_path(page);
            match read_facts(&path, page) {
                Ok(facts) if facts.rejected == 0 || self.rejects_path(page).is_some() => pages.push(facts),
                Ok(_) => self.forget(page, Content::Rows, "its rejects are missing")?,
                Err(error) => self.forget(page, Content::Rows, error.message())?,
            }
        }
        // Rejects left by a process that was killed before it wrote their page.
        let is_whole = |page: &u32| pages.binary_search_by_key(page, |staged: &StagedPage| staged.page).is_ok();
        let orphans: Vec<u32> = self.files.keys().map(|(page, _)| *page).filter(|page| !is_whole(page)).collect();
        for page in orphans {
            self.forget(page, Content::Rejects, "its page is missing")?;
        }
        Ok(pages)
    }

    fn forget(&mut self, page: u32, content: Content, reason: &str) -> Result<()> {
        match self.files.remove(&(page, content)) {
            Some(path) => remove(&path, reason),
            None => Ok(()),
        }
    }

    /// Returns the path of a staged page of the current session.
    pub(crate) fn page_path(&self, page_index: u32) -> PathBuf {
        let missing = || self.pages_directory(self.manifest.epoch).join(format!("page-{page_index:06}"));
        self.files.get(&(page_index, Content::Rows)).cloned().unwrap_or_else(missing)
    }

    /// Returns the path of the rejects of a staged page of the current session, if it has any.
    pub(crate) fn rejects_path(&self, page_index: u32) -> Option<PathBuf> {
        self.files.get(&(page_index, Content::Rejects)).cloned()
    }

    /// Returns the pages that earlier loads of this run put into the table.
    ///
    /// # Errors
    /// `Storage` when the directory of their session cannot be read.
    pub(crate) fn loaded_pages(&self) -> Result<Vec<PathBuf>> {
        let Some(loaded) = &self.manifest.loaded else { return Ok(Vec::new()) };
        // A damaged file counts as missing: its rows are then treated as the user's own and stay in the table.
        let is_whole = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| Name::parse(&name.to_string_lossy()));
            name.is_some_and(|name| name.matches(path).unwrap_or(false))
        };
        let files = files_in(&self.pages_directory(loaded.epoch))?;
        let paths = loaded.pages.iter().filter_map(|page| files.get(&(*page, Content::Rows)).cloned());
        Ok(paths.filter(is_whole).collect())
    }

    /// Removes the directory and all its pages. Call this once they are in the table or no longer needed.
    ///
    /// # Errors
    /// `Storage`. If only the rest of the stage could not be removed (see the message), the run itself is already
    /// removed.
    pub(crate) fn remove(self) -> Result<()> {
        // Windows cannot rename a directory that contains an open file.
        #[cfg(windows)]
        drop(self._lock);
        remove_run(&self.root, &self.directory)
    }

    /// Records that a file of the current session is complete.
    pub(super) fn note_file(&mut self, part: u32, content: Content, path: PathBuf) {
        self.files.insert((part, content), path);
    }

    /// Returns the directory of the current session.
    pub(super) fn parts_directory(&self) -> PathBuf {
        self.pages_directory(self.manifest.epoch)
    }

    fn pages_directory(&self, epoch: u32) -> PathBuf {
        self.directory.join(epoch_directory_name(epoch))
    }

    fn write_manifest(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|error| Error::internal("the manifest cannot be written as JSON").with_source(error))?;
        replace_file(&self.directory, MANIFEST, &text)
    }
}

/// Finds and locks the directory of a run. Returns its root, the directory and the lock.
pub(super) fn take(roots: &StageRoots, run_id: &str) -> Result<(PathBuf, PathBuf, File)> {
    let is_plain = !run_id.is_empty() && run_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let root = roots.all().find(|root| is_plain && root.join(run_id).is_dir());
    let Some(root) = root else {
        return Err(Error::new(ErrorKind::RunNotFound, format!("there is no unfinished run `{}`", printable(run_id))));
    };
    let directory = root.join(run_id);
    make_root(root)?;
    let lock = lock_directory(&directory)?;
    Ok((root.to_owned(), directory, lock))
}

pub(super) fn read_manifest(directory: &Path) -> Result<Manifest> {
    let path = directory.join(MANIFEST);
    let file = BufReader::new(open_file(&path)?.take(MANIFEST_BYTES_MAX));
    let unreadable = |error: serde_json::Error| {
        Error::new(ErrorKind::Storage, format!("`{}` cannot be read as a run manifest", path.display()))
            .with_path(&path)
            .with_source(error)
    };
    let value: serde_json::Value = serde_json::from_reader(file).map_err(unreadable)?;
    let is_known = |format: u64| (u64::from(FORMAT)..=u64::from(FORMAT_OF_EVENTS)).contains(&format);
    if !value.get("format").and_then(serde_json::Value::as_u64).is_some_and(is_known) {
        let format = value.get("format").map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let message = format!(
            "`{}` was written by another version of this program: its format is {format}, but this version reads \
             {FORMAT} to {FORMAT_OF_EVENTS}",
            path.display()
        );
        return Err(Error::new(ErrorKind::Storage, message).with_path(&path));
    }
    serde_json::from_value(value).map_err(unreadable)
}

/// Removes a run atomically by renaming its directory, then deletes its files.
pub(super) fn remove_run(root: &Path, directory: &Path) -> Result<()> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let removed = root.join(format!("{REMOVED_PREFIX}{name}"));
    fs::rename(directory, &removed).map_err(|error| Error::io("remove the stage", directory, error))?;
    kill_point("stage-renamed");
    fs::remove_dir_all(&removed).map_err(|error| Error::io("remove the rest of the stage", &removed, error))?;
    // Fails, as intended, if the root still holds other runs.
    let _ = fs::remove_dir(root);
    Ok(())
}

fn remove(path: &Path, reason: &str) -> Result<()> {
    tracing::warn!("removing `{}`: {reason}", path.display());
    fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
}

pub(super) fn epoch_directory_name(epoch: u32) -> String {
    format!("{EPOCH_PREFIX}{epoch}")
}

#[cfg(test)]
mod tests;
