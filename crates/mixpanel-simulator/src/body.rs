//! Response bodies that stall or are cut off, and the stream that fails after a cut.
//!
//! hyper discards buffered data when a body returns an error. A cut body therefore returns `Pending` and sets a
//! switch; when hyper next flushes the stream, the stream reports a broken connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::body_fault::{BodyFault, Framing};
use crate::export::{ExportBody, ExportChunks};

/// A flag that a body sets to close its connection once everything before the cut has been sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct CutSwitch(Arc<AtomicBool>);

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    Pause(Duration),
    Cut,
}

/// A response body, with any delivery fault.
#[derive(Debug)]
pub(crate) struct FaultyBody {
    parts: VecDeque<Part>,
    export: Option<Export>,
    /// The remaining `Content-Length` in bytes; `None` for a chunked body.
    promised: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
    switch: CutSwitch,
}

impl FaultyBody {
    pub(crate) fn new(mut body: Bytes, fault: Option<BodyFault>, switch: CutSwitch) -> Self {
        let mut promised = Some(body.len() as u64);
        let mut parts = VecDeque::new();
        match fault {
            Some(BodyFault::Cut { after, framing }) => {
                if framing == Framing::Chunked {
                    promised = None;
                }
                body.truncate(after);
                parts.extend([Part::Bytes(body), Part::Cut]);
            }
            Some(BodyFault::Stall { after, pause }) => {
                let rest = body.split_off(after.min(body.len()));
                parts.extend([Part::Bytes(body), Part::Pause(pause), Part::Bytes(rest)]);
            }
            Some(BodyFault::Reset) | None => parts.push_back(Part::Bytes(body)),
        }
        parts.retain(|part| !matches!(part, Part::Bytes(bytes) if bytes.is_empty()));
        Self { parts, export: None, promised, sleep: None, switch }
    }

    /// Creates the body of an export. `slot` is dropped once the last byte is on its way.
    pub(crate) fn export(
        body: &ExportBody,
        fault: Option<BodyFault>,
        switch: CutSwitch,
        slot: Box<dyn Send + Sync>,
    ) -> Self {
        let mut chunks = body.chunks();
        let next = chunks.next();
        let is_close_delimited = body.is_close_delimited;
        if next.is_none() && matches!(fault, Some(BodyFault::Cut { .. })) && !is_close_delimited {
            return Self { parts: [Part::Cut].into(), export: None, promised: None, sleep: None, switch };
        }
        let export = Export { chunks, next, fault, sent: 0, is_close_delimited, _slot: Slot(slot) };
        Self { parts: VecDeque::new(), export: Some(export), promised: None, sleep: None, switch }
    }
}

/// An export that is being sent.
#[derive(Debug)]
struct Export {
    chunks: ExportChunks,
    next: Option<Bytes>,
    fault: Option<BodyFault>,
    /// In bytes.
    sent: usize,
    is_close_delimited: bool,
    _slot: Slot,
}

/// Something to drop at the end.
struct Slot(Box<dyn Send + Sync>);

impl std::fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(_opaque) = self;
        formatter.write_str("Slot")
    }
}

impl Export {
    /// Returns the parts that are due next; none at the end.
    fn next_parts(&mut self) -> Vec<Part> {
        let Some(mut chunk) = self.next.take() else { return Vec::new() };
        self.next = self.chunks.next();
        let until = |after: usize| after.saturating_sub(self.sent);
        let parts = match self.fault {
            Some(BodyFault::Cut { after, .. }) if until(after) <= chunk.len() || self.next.is_none() => {
                // At least the last byte is missing.
                let most = if self.next.is_none() { chunk.len() - 1 } else { chunk.len() };
                chunk.truncate(until(after).min(most));
                self.next = None;
                // Without a length or chunks, the end of the connection is the end of the body.
                let end = (!self.is_close_delimited).then_some(Part::Cut);
                return [Part::Bytes(chunk)].into_iter().chain(end).collect();
            }
            Some(BodyFault::Stall { after, pause }) if until(after) < chunk.len() => {
                self.fault = None;
                let rest = chunk.split_off(until(after));
                vec![Part::Bytes(chunk), Part::Pause(pause), Part::Bytes(rest)]
            }
            _ => vec![Part::Bytes(chunk)],
        };
        self.sent +=
            parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 }).sum::<usize>();
        parts
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            if self.parts.is_empty()
                && let Some(export) = &mut self.export
            {
                let parts = export.next_parts();
                if export.next.is_none() {
                    self.export = None;
                }
                self.parts.extend(parts);
                self.parts.retain(|part| !matches!(part, Part::Bytes(bytes) if bytes.is_empty()));
            }
            match self.parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Pause(pause)) => self.sleep = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Part::Cut) => {
                    self.parts.push_front(Part::Cut);
                    self.switch.0.store(true, Ordering::Release);
                    return Poll::Pending;
                }
                Some(Part::Bytes(bytes)) => {
                    self.promised = self.promised.map(|promised| promised - bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.sleep.is_none() && self.export.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.promised.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A connection whose flush fails once the switch is set, after all data has been written.
#[derive(Debug)]
pub(crate) struct FaultyStream {
    stream: TcpStream,
    switch: CutSwitch,
}

impl FaultyStream {
    pub(crate) fn new(stream: TcpStream, switch: CutSwitch) -> Self {
        Self { stream, switch }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.switch.0.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the reply is cut on purpose")));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
