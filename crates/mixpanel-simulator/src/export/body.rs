//! The body of an export: rows, an ending, compression and chunks, written when they are needed.

use std::fmt;

use bytes::Bytes;

use super::gzip::{Gzip, GzipPlan};
use crate::event_options::FinalNewline;
use crate::events::Rows;

/// The size of the pieces in which rows are written.
const PIECE: usize = 64 << 10;
/// The size of the pieces that become gzip members of their own.
const MEMBER_PIECE: usize = 4 << 10;

/// The body of an export, which is only written while it is sent. Bodies are equal if their bytes are.
#[derive(Clone)]
pub struct ExportBody {
    pub(super) rows: Rows,
    /// What follows the last row instead of the proper end.
    pub(super) tail: Option<Bytes>,
    pub(super) final_newline: FinalNewline,
    pub(super) gzip: Option<GzipPlan>,
    pub(super) chunk_size: usize,
    /// Whether the end of the body is the end of the connection.
    pub(crate) is_close_delimited: bool,
}

/// The chunks of an export's body.
#[derive(Debug)]
pub struct ExportChunks {
    rows: Rows,
    has_more: bool,
    tail: Option<Bytes>,
    final_newline: FinalNewline,
    /// Whether a newline is due before the next row.
    owes_newline: bool,
    gzip: Option<Gzip>,
    missing: usize,
    piece_size: usize,
    chunk_size: usize,
    /// The piece that is sent next, if the end of the body is missing and may be in it.
    held: Option<Vec<u8>>,
    ready: Bytes,
    is_finished: bool,
    plain_bytes: u64,
}

impl ExportBody {
    /// Returns the chunks from the beginning, none of them empty.
    pub fn chunks(&self) -> ExportChunks {
        ExportChunks {
            rows: self.rows.clone(),
            has_more: true,
            tail: self.tail.clone(),
            final_newline: self.final_newline,
            owes_newline: false,
            gzip: self.gzip.map(Gzip::new),
            missing: self.gzip.map_or(0, |gzip| gzip.missing),
            piece_size: if self.gzip.is_some_and(|gzip| gzip.members > 1) { MEMBER_PIECE } else { PIECE },
            chunk_size: self.chunk_size.max(1),
            held: None,
            ready: Bytes::new(),
            is_finished: false,
            plain_bytes: 0,
        }
    }

    /// Returns the whole body.
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = Vec::new();
        self.chunks().for_each(|chunk| whole.extend_from_slice(&chunk));
        whole.into()
    }

    /// Returns whether the body, before compression, has more bytes than this.
    pub(super) fn is_longer_than(&self, bytes: usize) -> bool {
        let mut text = Vec::new();
        let mut rows = self.rows.clone();
        rows.write(&mut text, bytes.saturating_add(1));
        text.len() + self.tail.as_ref().map_or(0, Bytes::len) > bytes
    }
}

impl ExportChunks {
    /// Returns the number of rows in the chunks so far, including those of the current piece.
    pub fn rows(&self) -> u64 {
        self.rows.written()
    }

    /// Returns the number of bytes in the chunks so far, before compression, including those of the current
    /// piece.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Returns the next piece as it is sent, which may be empty, or `None` at the end.
    fn next_piece(&mut self) -> Option<Vec<u8>> {
        if self.is_finished {
            return None;
        }
        let mut text = Vec::with_capacity(self.piece_size + PIECE / 4);
        let owed = usize::from(self.owes_newline);
        text.extend(self.owes_newline.then_some(b'\n'));
        if self.has_more {
            self.has_more = self.rows.write(&mut text, self.piece_size);
        }
        if !self.has_more {
            self.is_finished = true;
            if let Some(tail) = self.tail.take() {
                text.extend_from_slice(&tail);
            }
        }
        if text.len() == owed {
            text.clear();
        } else if self.final_newline == FinalNewline::Missing {
            self.owes_newline = text.pop_if(|byte| *byte == b'\n').is_some();
        }
        self.plain_bytes += text.len() as u64;
        let Some(gzip) = &mut self.gzip else { return Some(text) };
        let mut packed = gzip.write(&text);
        if self.is_finished
            && let Some(gzip) = self.gzip.take()
        {
            packed.extend(gzip.finish());
        }
        Some(packed)
    }

    /// Returns the next piece without the bytes that are missing at the end.
    fn next_sent(&mut self) -> Option<Vec<u8>> {
        if self.missing == 0 {
            return self.next_piece();
        }
        let mut held = self.held.take().unwrap_or_default();
        while let Some(piece) = self.next_piece() {
            if !self.is_finished && held.len() > self.missing {
                self.held = Some(piece);
                return Some(held);
            }
            held.extend(piece);
        }
        held.truncate(held.len().saturating_sub(self.missing));
        self.missing = 0;
        Some(held)
    }
}

impl Iterator for ExportChunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.ready.is_empty() {
            self.ready = self.next_sent()?.into();
        }
        Some(self.ready.split_to(self.chunk_size.min(self.ready.len())))
    }
}

impl PartialEq for ExportBody {
    fn eq(&self, other: &Self) -> bool {
        self.is_close_delimited == other.is_close_delimited && self.chunks().eq(other.chunks())
    }
}

impl Eq for ExportBody {}

impl fmt::Debug for ExportBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExportBody")
            .field("tail", &self.tail)
            .field("gzip", &self.gzip)
            .field("chunk_size", &self.chunk_size)
            .finish_non_exhaustive()
    }
}
