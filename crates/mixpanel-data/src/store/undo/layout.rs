//! The parts of DuckDB's file format that an undo file depends on.
//!
//! A file begins with three headers of 4 KiB: the main header, which identifies the file, and two database headers. A
//! checkpoint overwrites the older database header, and the one with the higher iteration is the current one. Blocks of
//! equal size follow. Each header and each block begins with a checksum of its other bytes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;

/// The size of a header in bytes.
pub(super) const HEADER_BYTES: usize = 4_096;

/// The size of all headers in bytes.
pub(super) const HEADERS_BYTES: usize = 3 * HEADER_BYTES;

/// Where the headers contain the block size: in the first database header, after the checksum and four numbers.
const BLOCK_SIZE_AT: usize = HEADER_BYTES + 5 * 8;

/// The block size of a file that does not contain it.
const BLOCK_SIZE_DEFAULT: u64 = 262_144;

/// The block sizes that DuckDB supports.
pub(super) const BLOCK_SIZES: RangeInclusive<u64> = 16_384..=262_144;

/// Returns the block size of a file with these headers, if DuckDB supports it.
pub(super) fn block_size(headers: &[u8]) -> Option<u64> {
    let size = u64::from_le_bytes(headers.get(BLOCK_SIZE_AT..BLOCK_SIZE_AT + 8)?.try_into().ok()?);
    let size = if size == 0 { BLOCK_SIZE_DEFAULT } else { size };
    BLOCK_SIZES.contains(&size).then_some(size)
}

/// Returns the position of a block in the file.
pub(super) fn position(block: u64, block_size: u64) -> Option<u64> {
    block.checked_mul(block_size)?.checked_add(HEADERS_BYTES as u64)
}

/// Returns whether the checksum of a header or block is correct. If not, DuckDB cannot read it.
pub(super) fn is_intact(bytes: &[u8]) -> bool {
    let (words, []) = bytes.as_chunks::<8>() else { return false };
    let Some((recorded, words)) = words.split_first() else { return false };
    let sum = words.iter().fold(5_381, |sum, word| sum ^ u64::from_le_bytes(*word).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    u64::from_le_bytes(*recorded) == sum
}

/// Reads bytes at a position. What is beyond the end of the file is zero.
pub(super) fn read_at(mut file: &File, position: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(position))?;
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes[filled..].fill(0);
    Ok(())
}
