//! Fetches events, in slices.

mod receive;

#[expect(unused_imports, reason = "the events fetch uses them")]
pub(crate) use receive::{EndOfBody, ReceiveFailure, ReceivedSlice, SliceRequest, read_slice, receive};
