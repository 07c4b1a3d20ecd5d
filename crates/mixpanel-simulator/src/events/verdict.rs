//! What a client should make of an unusual line.

/// What a client should make of an odd line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddVerdict {
    /// It is an event.
    Row,
    /// It is not an event.
    Reject,
    /// It has no content, and should be skipped.
    Blank,
    /// Opinions differ.
    Unclear,
}
