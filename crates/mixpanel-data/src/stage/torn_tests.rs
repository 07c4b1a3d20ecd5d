//! Leaves in a stage what a killed process or a failing disk would leave. Used by the simulation.

use std::fs;

use crate::types::ProfileWriteTask;

use super::files::replace_file;
use super::folder::Stage;
use super::names::{Name, Part};
use super::page_file::{page_bytes, rejects_bytes};

/// Leaves half a page under its temporary name.
pub(crate) fn leave_temporary(stage: &Stage, task: &ProfileWriteTask) {
    let bytes = page_bytes(task).unwrap();
    let folder = stage.page_path(task.page_index).parent().unwrap().to_owned();
    let name = format!(".{}.tmp", Part::Rows.name(task.page_index, &bytes));
    fs::write(folder.join(name), &bytes[..bytes.len() / 2]).unwrap();
}

/// Leaves the rejects of a page that was never written.
pub(crate) fn leave_rejects(stage: &Stage, task: &ProfileWriteTask) {
    let bytes = rejects_bytes(task).unwrap();
    let folder = stage.page_path(task.page_index).parent().unwrap().to_owned();
    replace_file(&folder, &Part::Rejects.name(task.page_index, &bytes), &bytes).unwrap();
}

/// Flips a bit in a staged page and returns the page number.
pub(crate) fn damage_a_page(stage: &Stage) -> Option<u32> {
    let folder = stage.page_path(0).parent().unwrap().to_owned();
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = Name::parse(&path.file_name().unwrap().to_string_lossy());
        if let Some(name) = name.filter(|name| name.part == Part::Rows) {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            fs::write(&path, bytes).unwrap();
            return Some(name.page);
        }
    }
    None
}
