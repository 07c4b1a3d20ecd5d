//! The stage: a folder beside the database that holds every page of a run as one small Parquet file.
//!
//! A page is staged when its final name exists; it appears by rename after its bytes are on disk. From then on it
//! cannot be lost, and nothing else is a journal. The manifest says what the pages belong to.

mod folder;
mod manifest;
mod page_file;

pub(crate) use folder::Stage;
pub(crate) use manifest::{Manifest, SessionFacts};
pub(crate) use page_file::read_page;
