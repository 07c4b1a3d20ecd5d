//! The key for hashing properties: that of MP_HASH_KEY, or of the config file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mixpanel_data::{HashKey, Secret};
use rustix::fs::{FileType, Mode, OFlags};

use crate::credential_text::{CREDENTIAL_BYTES_MAX, credential_text};
use crate::env::{Environment, MP_HASH_KEY};
use crate::failure::{Exit, Failure};
use crate::home::expanded;
use crate::output::Output;
use crate::private_file::chmod;

/// How to make a key.
pub(crate) const HOW_TO_MAKE_ONE: &str = "`openssl rand -hex 32`";

/// The key that the config file has or names.
#[derive(Debug, Default)]
pub(crate) enum ConfiguredKey {
    #[default]
    None,
    Text(Secret),
    File(PathBuf),
}

/// Reads the key; `None` if there is none. Warns if other users can read its file.
///
/// # Errors
/// A failure if the key is too short or its file cannot be used. It never includes the key.
pub(crate) fn read(
    environment: &Environment,
    configured: &ConfiguredKey,
    output: &Output,
) -> Result<Option<HashKey>, Failure> {
    let (text, source) = match (&environment.hash_key, configured) {
        (Some(text), _) => (text.clone(), MP_HASH_KEY.to_owned()),
        (None, ConfiguredKey::None) => return Ok(None),
        (None, ConfiguredKey::Text(text)) => (text.clone(), "`hash_key` of the config file".to_owned()),
        (None, ConfiguredKey::File(path)) => {
            let path = expanded(path, environment.home.as_deref())?;
            (from_file(&path, output)?, format!("`{}`", path.display()))
        }
    };
    let unusable = |error| {
        Failure::library(format!("cannot use the key in {source}"), &error)
            .hint(format!("make one with {HOW_TO_MAKE_ONE}"))
    };
    HashKey::new(text).map(Some).map_err(unusable)
}

/// Reads a key file. Unlike the config file, it may be a symbolic link or belong to root, as the secrets of a container
/// do.
fn from_file(path: &Path, output: &Output) -> Result<Secret, Failure> {
    let shown = path.display();
    let unusable = |reason: &str| Failure::new(format!("cannot use the key file `{shown}`: {reason}"));
    let failed = |error: std::io::Error| {
        let failure = Failure::io(format!("cannot read the key file `{shown}`"), &error);
        if error.kind() == std::io::ErrorKind::NotFound { failure.exit(Exit::NotFound) } else { failure }
    };
    // Without NONBLOCK, opening a FIFO blocks until it has a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(unusable("it is not a regular file"));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() && stat.st_uid != 0 {
        return Err(unusable("it belongs to another user"));
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(unusable("other users can write to it").hint(format!("run {}", chmod(path))));
    }
    if mode.intersects(Mode::RGRP | Mode::ROTH) {
        output.warning(&format!("other users can read `{shown}`, which contains the hash key; run {}", chmod(path)));
    }
    let mut bytes = Vec::new();
    let mut limited = File::from(file).take(CREDENTIAL_BYTES_MAX as u64 + 8);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    let wrong = |reason| {
        unusable(&format!("it {reason}"))
            .hint(format!("it has one line: the key, such as the output of {HOW_TO_MAKE_ONE}"))
    };
    credential_text(&bytes).map(Secret::new).map_err(wrong)
}
