//! The stage: a directory that holds each page of a run as a small Parquet file.
//!
//! A page is staged once a file with its final name exists: the bytes are synced, then the file is renamed. A staged
//! page is durable, and there is no separate journal. The manifest describes the run that the pages belong to; `list`
//! finds the unfinished runs.

mod directory;
mod files;
mod list;
mod manifest;
mod names;
mod part_file;
mod root;
mod slice_file;
mod slice_plan;
#[cfg(test)]
mod testing;

pub(crate) use directory::Stage;
pub(crate) use list::{Listed, STREAM_PREFIX, discard, list, sweep};
pub(crate) use manifest::{KnownLoads, Loaded, Manifest, Over, Progress, SessionFacts};
#[cfg(test)]
pub(crate) use part_file::properties as page_properties;
pub(crate) use part_file::{Part, StagedPage, damaged, part_batches, read_part};
pub(crate) use root::{StageRoots, lock_for_start};
pub(crate) use slice_file::{SliceDirectory, SliceWriter, UnfinishedSlice};
pub(crate) use slice_plan::{EventRun, SlicePlan, SliceRecord, SliceState};
#[cfg(test)]
pub(crate) use testing::{damage_a_page, leave_rejects, leave_temporary};
