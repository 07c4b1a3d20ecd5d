//! The kinds of 429 responses (`docs/mixpanel-api.md#responses-with-429`).

/// The kind of a 429 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Too many counted requests in the rolling window.
    Hourly,
    /// Too many requests in a second; only exports have this limit.
    PerSecond,
    /// Too many concurrent requests.
    Concurrency,
    /// The server is overloaded: a response with no rate-limit headers and no numbers.
    LoadShed,
    /// The format of 2021, with both numbers and no rate-limit headers.
    BodyOnly,
}
