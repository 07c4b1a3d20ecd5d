//! The unit of `time`.

/// The unit of `time` in the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrittenTime {
    Milliseconds,
    Seconds,
}
