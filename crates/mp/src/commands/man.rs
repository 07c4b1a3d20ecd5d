//! `mp man`: writes the man pages, for packages. Hidden, because packages install them.

use std::path::Path;

use crate::cli::documented;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Writes one page per command into `directory`.
pub(crate) fn run(context: &Context, directory: &Path) -> Result<Exit, Failure> {
    let directory = context.path(directory)?;
    let written = std::fs::create_dir_all(&directory).and_then(|()| clap_mangen::generate_to(documented(), &directory));
    written.map_err(|error| Failure::io(format!("could not write man pages to `{}`", directory.display()), &error))?;
    Ok(Exit::Success)
}
