//! The undo file: the headers and the metadata blocks of a database, as they were before a checkpoint.
//!
//! It consists of [`MARK`], the block size, the number of blocks, the headers, then the number and the bytes of each
//! block, and a CRC-32 of everything before it. Numbers are little-endian, with 64 bits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::layout::{BLOCK_SIZES, HEADERS_BYTES, block_size, position, read_at};
use crate::durable;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::kill_point::kill_point;

/// The first bytes of an undo file; the digit is the version of the format.
const MARK: [u8; 8] = *b"mp-undo1";

/// The size of everything except the blocks, in bytes.
const FRAME_BYTES: u64 = 8 + 8 + 8 + HEADERS_BYTES as u64 + 4;

/// Returns the path of the undo file of a database.
pub(super) fn path_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".undo");
    PathBuf::from(path)
}

/// Checks that the name of the undo file is free. The database may not exist yet.
///
/// # Errors
/// `Storage` if a file of that name is not an undo file, or cannot be read.
pub(crate) fn check_name(database: &Path) -> Result<()> {
    let path = path_of(database);
    let Content::Foreign = read(&path, database)? else { return Ok(()) };
    let message = format!("`{}` is not an undo file that mp can use, and mp needs this name", path.display());
    let error = Error::new(ErrorKind::Storage, message).with_fault(Fault::NameTaken);
    Err(error.with_detail("suggestion", "rename it").with_path(&path))
}

/// Writes the undo file, and makes it durable before it gets its name. `blocks` are the numbers of the blocks to save.
///
/// # Errors
/// `DiskFull`, or `Storage`, also if a file of that name is not an undo file.
pub(super) fn write(database: &Path, file: &File, blocks: &[u64]) -> Result<()> {
    check_name(database)?;
    let path = path_of(database);
    let directory = database.parent().unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = directory.join(name);
    let written = write_all(database, file, blocks, &temporary).and_then(|()| {
        kill_point("undo-written");
        fs::rename(&temporary, &path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(Error::io("write", &path, error));
    }
    durable::sync_directory(directory).map_err(|error| Error::io("sync the directory of", &path, error))?;
    kill_point("undo-saved");
    Ok(())
}

fn write_all(database: &Path, file: &File, blocks: &[u64], temporary: &Path) -> io::Result<()> {
    let mut headers = vec![0; HEADERS_BYTES];
    read_at(file, 0, &mut headers)?;
    let size = block_size(&headers).ok_or_else(|| io::Error::other("the block size of the database is unknown"))?;
    let mut out = Checked::new(BufWriter::new(create(database, temporary)?));
    out.write_all(&MARK)?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&(blocks.len() as u64).to_le_bytes())?;
    out.write_all(&headers)?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    for block in blocks {
        let from = position(*block, size).ok_or_else(|| io::Error::other("a block number is too large"))?;
        read_at(file, from, &mut bytes)?;
        out.write_all(&block.to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    let checksum = out.checksum();
    out.write_all(&checksum.to_le_bytes())?;
    out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Creates the temporary file, with the permissions of the database. Does not follow a link.
fn create(database: &Path, temporary: &Path) -> io::Result<File> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let mode = fs::metadata(database)?.permissions().mode() & 0o666;
        options.mode(0o600);
        let file = options.open(temporary)?;
        // On a file system without permissions, it stays as it is.
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
        Ok(file)
    }
    #[cfg(not(unix))]
    {
        let _ = database;
        options.open(temporary)
    }
}

/// What a path contains.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    /// An undo file.
    Undo(Undo),
    /// The beginning of an undo file, or a file whose contents never reached the disk. Its checkpoint had not begun.
    Incomplete,
    /// Something else, which stays as it is: an undo file of another version, a link, a file of another user.
    Foreign,
}

/// A complete undo file.
#[derive(Debug)]
pub(super) struct Undo {
    file: File,
    /// The headers.
    pub(super) headers: Vec<u8>,
    /// The size of a block in bytes.
    pub(super) block_size: u64,
    blocks: u64,
}

/// Reads an undo file and compares its checksum.
///
/// # Errors
/// `Storage` if it cannot be read.
pub(super) fn read(path: &Path, database: &Path) -> Result<Content> {
    match read_content(path, database) {
        Ok(content) => Ok(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::Nothing),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Content::Foreign),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn read_content(path: &Path, database: &Path) -> io::Result<Content> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() || !is_trusted(&found, database)? {
        return Ok(Content::Foreign);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    let file = options.open(path)?;
    let mut mark = [0; MARK.len()];
    read_at(&file, 0, &mut mark)?;
    let begun = mark.iter().position(|byte| *byte == 0).unwrap_or(mark.len());
    if mark[..begun] != MARK[..begun] || mark[begun..].iter().any(|byte| *byte != 0) {
        return Ok(Content::Foreign);
    }
    match read_undo(&file) {
        Ok(Some((headers, block_size, blocks))) => Ok(Content::Undo(Undo { file, headers, block_size, blocks })),
        Ok(None) => Ok(Content::Incomplete),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Content::Incomplete),
        Err(error) => Err(error),
    }
}

/// Returns the headers, the block size and the number of blocks; `None` if the file is incomplete.
fn read_undo(file: &File) -> io::Result<Option<(Vec<u8>, u64, u64)>> {
    let length = file.metadata()?.len();
    let mut from = Checked::new(BufReader::new(file));
    from.inner.seek(SeekFrom::Start(0))?;
    let mut mark = [0; MARK.len()];
    from.read_exact(&mut mark)?;
    let (block_size, blocks) = (number(&mut from)?, number(&mut from)?);
    if mark != MARK || !BLOCK_SIZES.contains(&block_size) {
        return Ok(None);
    }
    let bytes = (block_size + 8).checked_mul(blocks);
    if bytes.and_then(|bytes| bytes.checked_add(FRAME_BYTES)) != Some(length) {
        return Ok(None);
    }
    let mut headers = vec![0; HEADERS_BYTES];
    from.read_exact(&mut headers)?;
    io::copy(&mut from.by_ref().take(length - FRAME_BYTES), &mut io::sink())?;
    let checksum = from.checksum();
    let mut recorded = [0; 4];
    from.read_exact(&mut recorded)?;
    Ok((u32::from_le_bytes(recorded) == checksum).then_some((headers, block_size, blocks)))
}

/// Returns whether a file belongs to this user, to root or to the owner of the database: others must not be able to
/// change the database.
#[cfg(unix)]
fn is_trusted(found: &fs::Metadata, database: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    let owner = match fs::metadata(database) {
        Ok(database) => database.uid(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => user,
        Err(error) => return Err(error),
    };
    Ok([0, owner, user].contains(&found.uid()))
}

#[cfg(not(unix))]
fn is_trusted(_found: &fs::Metadata, _database: &Path) -> io::Result<bool> {
    Ok(true)
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Undo {
    /// Passes the position of each saved block in the database and its bytes to `each`.
    pub(super) fn each_block(&self, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut from = BufReader::new(&self.file);
        from.seek(SeekFrom::Start(FRAME_BYTES - 4))?;
        let mut bytes = vec![0; usize::try_from(self.block_size).map_err(io::Error::other)?];
        for _ in 0..self.blocks {
            let block = number(&mut from)?;
            from.read_exact(&mut bytes)?;
            let at = position(block, self.block_size).ok_or(io::ErrorKind::InvalidData)?;
            each(at, &bytes)?;
        }
        Ok(())
    }
}

/// A reader or writer that computes the CRC-32 of what passes through it.
struct Checked<T> {
    inner: T,
    hasher: crc32fast::Hasher,
}

impl<T> Checked<T> {
    fn new(inner: T) -> Self {
        Self { inner, hasher: crc32fast::Hasher::new() }
    }

    fn checksum(&self) -> u32 {
        self.hasher.clone().finalize()
    }
}

impl<T: Write> Write for Checked<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Checked<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }
}
