//! The kinds of a 429 (`docs/mixpanel-api.md#quotas`).

/// The kind of a 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Too many counted requests in the rolling window.
    Hourly,
    /// Too many concurrent requests.
    Concurrency,
    /// The server is overloaded: no headers and no numbers.
    LoadShed,
    /// The form of 2021, with both numbers and no headers.
    BodyOnly,
}
