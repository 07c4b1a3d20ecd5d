//! Receives a slice: from the connection to files of the stage, in bounded memory.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::{ApiClient, ExportBody, ExportHead, ExportRequest, Failure, FailureKind, Inflated, TrailingData};
use crate::error::Error;
use crate::limits::CHUNKS_AHEAD_MAX;
use crate::parse::{BodyFault, EventReader, EventReading, Unstored, for_each_line};
use crate::slice::{Slice, SliceFacts};
use crate::stage::{SliceDirectory, SliceWriter, UnfinishedSlice};

/// A request for a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SliceRequest {
    pub(crate) part: u32,
    pub(crate) slice: Slice,
    /// A segmentation expression.
    pub(crate) filter: Option<String>,
    /// The most events that the server should send, and that are kept.
    pub(crate) limit: Option<u32>,
}

impl SliceRequest {
    fn export(&self) -> ExportRequest {
        let Slice { from, to, events } = self.slice.clone();
        ExportRequest { part: Some(self.part), from, to, events, filter: self.filter.clone(), limit: self.limit }
    }
}

/// A slice that was received completely and is not staged yet.
#[derive(Debug)]
pub(crate) struct ReceivedSlice {
    pub(crate) facts: SliceFacts,
    /// The data in the slice that has no table column.
    pub(crate) unstored: Unstored,
    pub(crate) file: UnfinishedSlice,
}

/// Why a slice was not received.
#[derive(Debug)]
pub(crate) enum ReceiveFailure {
    /// The request failed.
    Request(Failure),
    /// The slice cannot be written. Another attempt would fail too.
    Storage(Error),
    /// The sender stopped before the end of the body; its own error says why.
    Abandoned,
}

/// Requests a slice and writes it to `directory`.
///
/// # Errors
/// `Request` if the events that arrived are not all events of the slice, or nothing shows that they are; `Storage` if
/// they cannot be written.
///
/// # Cancellation
/// Dropping the future closes the connection. The files are removed shortly after.
pub(crate) async fn receive(
    client: &ApiClient,
    request: &SliceRequest,
    reading: &EventReading,
    directory: SliceDirectory,
) -> Result<ReceivedSlice, ReceiveFailure> {
    let mut body = client.export(&request.export()).await.map_err(ReceiveFailure::Request)?;
    let (sender, inbox) = mpsc::channel(CHUNKS_AHEAD_MAX);
    let (head, is_delimited) = (body.head(), body.is_delimited());
    let (task, reading) = (request.clone(), reading.clone());
    let reader = tokio::task::spawn_blocking(move || {
        let chunks = Chunks { inbox, current: Bytes::new(), is_complete: false };
        let end = if is_delimited { EndOfBody::Known } else { EndOfBody::Unknown };
        read_slice(&head, chunks, end, &task, &reading, &directory)
    });
    let sent = send_all(&mut body, sender).await;
    let received = reader.await.unwrap_or_else(|_| {
        let message = "reading a slice panicked; this is a bug";
        Err(ReceiveFailure::Request(Failure::new(FailureKind::Internal, message)))
    });
    match (received, sent) {
        (Err(ReceiveFailure::Abandoned) | Ok(_), Err(failure)) => Err(ReceiveFailure::Request(failure)),
        (Err(ReceiveFailure::Abandoned), Ok(())) => {
            let message = "a body ended without its end marker; this is a bug";
            Err(ReceiveFailure::Request(Failure::new(FailureKind::Internal, message)))
        }
        (received, _) => received,
    }
}

/// Passes the whole body on, as fast as it is read.
async fn send_all(body: &mut ExportBody, sender: mpsc::Sender<Piece>) -> Result<(), Failure> {
    while let Some(chunk) = body.next_chunk().await? {
        if sender.send(Piece::Chunk(chunk)).await.is_err() {
            // The reader has failed, and says why.
            return Ok(());
        }
    }
    let _ = sender.send(Piece::End).await;
    Ok(())
}

/// A piece of a body.
enum Piece {
    Chunk(Bytes),
    /// The body is complete.
    End,
}

/// The chunks of a body. Reading fails if the last one never comes.
struct Chunks {
    inbox: mpsc::Receiver<Piece>,
    current: Bytes,
    is_complete: bool,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.fill_buf()?;
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.is_complete {
            match self.inbox.blocking_recv() {
                Some(Piece::Chunk(chunk)) => self.current = chunk,
                Some(Piece::End) => self.is_complete = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        let _ = self.current.split_to(count.min(self.current.len()));
    }
}

/// Counts the bytes of a body.
struct Counted<'a, R> {
    body: R,
    bytes: &'a std::cell::Cell<u64>,
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.body.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.set(self.bytes.get() + count as u64);
        self.body.consume(count);
    }
}

/// Whether the connection shows where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfBody {
    Known,
    /// The connection ended with the body, or because of a fault.
    Unknown,
}

/// Why reading a body ended early.
enum Stop {
    Body(io::Error),
    Fault(BodyFault),
    Storage(Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Body(error)
    }
}

/// Reads a body, compressed or not, and writes it to `directory`.
///
/// # Errors
/// Same as [`receive`]; `Abandoned` if the body fails with `ConnectionAborted`.
pub(crate) fn read_slice(
    head: &ExportHead,
    body: impl BufRead,
    end: EndOfBody,
    request: &SliceRequest,
    reading: &EventReading,
    directory: &SliceDirectory,
) -> Result<ReceivedSlice, ReceiveFailure> {
    let received_bytes = std::cell::Cell::new(0);
    let body = Counted { body, bytes: &received_bytes };
    let mut reader = EventReader::new(request.part, request.slice.clone(), reading);
    let mut writer = SliceWriter::create(directory, request.part).map_err(ReceiveFailure::Storage)?;
    let explain = |stop| explain(head, end, stop);
    let mut text = Inflated::new(body).map_err(Stop::Body).map_err(explain)?;
    let bytes = for_each_line(&mut text, |line| {
        // A server may ignore the limit.
        if request.limit.is_some_and(|limit| reader.received() >= limit.into()) {
            return Ok(());
        }
        reader.line(line).map_err(Stop::Fault)?;
        if let Some(rows) = reader.take_full_group() {
            writer.write(&rows).map_err(Stop::Storage)?;
        }
        match reader.take_many_rejects() {
            Some(rejects) => writer.reject(&rejects).map_err(Stop::Storage),
            None => Ok(()),
        }
    })
    .map_err(explain)?;
    if end == EndOfBody::Unknown && !text.proves_end() {
        return Err(ReceiveFailure::Request(Failure::new(FailureKind::Incomplete, UNKNOWN_END)));
    }
    drop(text);
    let (rows, rejects) = reader.take_rest();
    if let Some(rows) = rows {
        writer.write(&rows).map_err(ReceiveFailure::Storage)?;
    }
    writer.reject(&rejects).map_err(ReceiveFailure::Storage)?;
    let end = reader.finish(bytes, received_bytes.get()).map_err(Stop::Fault).map_err(explain)?;
    let file = writer.finish(&end.facts, &end.catalogs).map_err(ReceiveFailure::Storage)?;
    Ok(ReceivedSlice { facts: end.facts, unstored: end.unstored, file })
}

const UNKNOWN_END: &str = "the response ended with the connection, without anything that shows whether it is complete";

/// Returns what an early end of the reading means.
fn explain(head: &ExportHead, end: EndOfBody, stop: Stop) -> ReceiveFailure {
    let failed = |kind, message: String| ReceiveFailure::Request(Failure::new(kind, message));
    match stop {
        Stop::Storage(error) => ReceiveFailure::Storage(error),
        Stop::Body(error) if error.kind() == io::ErrorKind::ConnectionAborted => ReceiveFailure::Abandoned,
        Stop::Body(error) => {
            let trailing = error.get_ref().and_then(|error| error.downcast_ref::<TrailingData>());
            match trailing.and_then(|data| BodyFault::reported_in(&data.0)) {
                Some(fault) => explain(head, end, Stop::Fault(fault)),
                None => failed(FailureKind::Incomplete, format!("the compressed response is damaged: {error}")),
            }
        }
        Stop::Fault(BodyFault::TerminatedEarly) => {
            failed(FailureKind::TerminatedEarly, "Mixpanel terminated the export early".to_owned())
        }
        Stop::Fault(BodyFault::Cut | BodyFault::NotAnExport(_)) if end == EndOfBody::Unknown => {
            failed(FailureKind::Incomplete, UNKNOWN_END.to_owned())
        }
        Stop::Fault(BodyFault::Cut) => {
            failed(FailureKind::Incomplete, "the last line of the response is incomplete".to_owned())
        }
        Stop::Fault(BodyFault::EndsWithMessage(said)) => ReceiveFailure::Request(head.ends_with_message(&said)),
        Stop::Fault(BodyFault::Error(said)) => ReceiveFailure::Request(head.error(&said)),
        Stop::Fault(BodyFault::NotAnExport(beginning)) => ReceiveFailure::Request(head.not_an_export(&beginning)),
    }
}

#[cfg(test)]
mod tests;
