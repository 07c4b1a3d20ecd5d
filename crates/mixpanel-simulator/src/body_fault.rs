//! Faults in the delivery of a response body.

use std::time::Duration;

/// A fault in the delivery of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The connection closes before the whole body is sent.
    Cut {
        /// The number of body bytes that arrive; less than the length of the body, except for an export, of which at
        /// least the last byte is missing.
        after: usize,
        /// How the body is framed.
        framing: Framing,
    },
    /// The body pauses and then continues.
    Stall {
        /// The number of body bytes that arrive before the pause.
        after: usize,
        /// The length of the pause.
        pause: Duration,
    },
    /// The connection closes without a response.
    Reset,
}

/// The framing of a body that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `Content-Length` promises the whole body.
    #[default]
    ContentLength,
    /// Chunked, and the terminating chunk never arrives.
    Chunked,
}
