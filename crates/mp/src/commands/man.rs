//! `mp man`: writes the man pages, for packages. Hidden, because packages install them.

use std::path::Path;
use std::{fs, io};

use clap::Command;
use clap_mangen::Man;

use crate::cli::documented;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// The heading of the section for the end of the help.
const EXTRA: &str = ".SH EXTRA\n";

/// Writes one page per command into `directory`.
pub(crate) fn run(context: &Context, directory: &Path) -> Result<Exit, Failure> {
    let directory = context.path(directory)?;
    let mut command = documented();
    command.build();
    let written = fs::create_dir_all(&directory).and_then(|()| write(&command, &directory));
    written.map_err(|error| Failure::io(format!("could not write man pages to `{}`", directory.display()), &error))?;
    Ok(Exit::Success)
}

/// Writes the pages of a command and of those below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, directory)?;
    }
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    fs::write(directory.join(page.get_filename()), with_sections(&text))
}

/// Replaces the section EXTRA, which has the end of the help, with a section for each of its headings.
fn with_sections(page: &str) -> String {
    let Some((start, end)) = page.split_once(EXTRA) else { return page.to_owned() };
    let mut text = start.to_owned();
    for line in end.lines() {
        let heading = line.strip_suffix(':').filter(|heading| heading.chars().all(|c| c.is_alphabetic() || c == ' '));
        match heading.map(str::to_uppercase) {
            Some(heading) if heading.contains(' ') => text.push_str(&format!(".SH \"{heading}\"\n")),
            Some(heading) if !heading.is_empty() => text.push_str(&format!(".SH {heading}\n")),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}
