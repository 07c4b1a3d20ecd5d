//! Fetches events, in slices.

mod receive;

pub(crate) use receive::{EndOfBody, ReceiveFailure, ReceivedSlice, SliceRequest, read_slice, receive};
