//! Puts a stage into states that a killed process or a failing disk leaves behind. Used by the simulation.

use std::fs;

use super::directory::Stage;
use super::files::NewFile;
use super::names::{Content, Name};
use super::part_file::{Part, write_rejects, write_rows};

/// Leaves half a page under its temporary name.
pub(crate) fn leave_temporary(stage: &Stage, part: &Part<'_>) {
    let directory = stage.page_path(part.number).parent().unwrap().to_owned();
    let mut file = NewFile::create(&directory, &Content::Rows.unfinished_name(part.number)).unwrap();
    write_rows(&mut file, part).unwrap();
    file.leave_half();
}

/// Leaves the rejects of a page that was never written.
pub(crate) fn leave_rejects(stage: &Stage, part: &Part<'_>) {
    let directory = stage.page_path(part.number).parent().unwrap().to_owned();
    let mut file = NewFile::create(&directory, &Content::Rejects.unfinished_name(part.number)).unwrap();
    write_rejects(&mut file, part).unwrap();
    let name = Content::Rejects.name(part.number, file.checksum());
    file.finish(&name).unwrap();
}

/// Flips a bit in a staged page and returns the page number.
pub(crate) fn damage_a_page(stage: &Stage) -> Option<u32> {
    let directory = stage.page_path(0).parent().unwrap().to_owned();
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = Name::parse(&path.file_name().unwrap().to_string_lossy());
        if let Some(name) = name.filter(|name| name.content == Content::Rows) {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            fs::write(&path, bytes).unwrap();
            return Some(name.page);
        }
    }
    None
}
