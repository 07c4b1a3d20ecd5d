//! Fetches events, in slices.

mod receive;

pub(crate) use receive::{ReceiveFailure, ReceivedSlice, SliceRequest, receive};
