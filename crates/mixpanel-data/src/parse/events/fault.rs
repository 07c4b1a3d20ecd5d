//! What shows that a body is not a complete export.

/// Why a body is not the complete set of events. None of it is stored then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// The server says that it stopped.
    TerminatedEarly,
    /// The server reports an error, with this text.
    Error(String),
    /// The last line is cut.
    Cut,
    /// No line is an event; this is how the body begins.
    NotAnExport(String),
    /// The last line is not an event. It is probably a message that took the place of the remaining events; this is how
    /// it begins.
    EndsWithMessage(String),
}

impl BodyFault {
    /// Returns what the server reports in a line that is not JSON; `None` if it is no known message.
    pub(crate) fn reported_in(line: &[u8]) -> Option<Self> {
        if is_terminated_early(line) { Some(Self::TerminatedEarly) } else { error_text(line).map(Self::Error) }
    }
}

/// The text with which the server ends an export that it cannot finish.
const TERMINATED_EARLY: &[u8] = b"terminated early";

/// The longest line that can be a message of the server.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Returns whether a line that is not an event says that the export was terminated early, possibly after a cut event.
pub(super) fn is_terminated_early(line: &[u8]) -> bool {
    let is_decoration = |byte: &u8| !byte.is_ascii_alphanumeric();
    let end = line.iter().rposition(|byte| !is_decoration(byte)).map_or(0, |last| last + 1);
    let rest = line.get(..end).unwrap_or_default();
    rest.len() >= TERMINATED_EARLY.len()
        && rest[rest.len() - TERMINATED_EARLY.len()..].eq_ignore_ascii_case(TERMINATED_EARLY)
}

/// Returns the text of an error that begins like a JSON object with `error` as its first member, whole or cut.
fn error_text(line: &[u8]) -> Option<String> {
    let inner = line.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let rest = inner.strip_prefix(b"\"error\"")?.trim_ascii_start();
    let text = rest.strip_prefix(b":").unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..text.len().min(MESSAGE_BYTES_MAX)]);
    let text = text.trim().trim_end_matches('}').trim();
    Some(serde_json::from_str::<String>(text).unwrap_or_else(|_| text.trim_matches('"').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_server_are_recognized() {
        for (line, expected) in [
            ("terminated early", true),
            ("export terminated early", true),
            ("[terminated early]", true),
            ("Export Terminated Early.", true),
            (r#"{"event":"A","properties":{"ti export terminated early"#, true),
            (r#"{"error":"export terminated early"}"#, true),
            ("terminated earlyish", false),
            ("terminated", false),
            ("", false),
            ("é", false),
        ] {
            assert_eq!(is_terminated_early(line.as_bytes()), expected, "{line}");
        }
        for (line, expected) in [
            (r#"{"error":"#, Some("")),
            (r#"{"error": "too bi"#, Some("too bi")),
            (r#"{ "error" : "too \"big\"" }"#, Some("too \"big\"")),
            (r#"{"error": {"code":1}}"#, Some(r#"{"code":1"#)),
            (r#"{"errors":1}"#, None),
            (r#"{"event":"error"}"#, None),
            ("error", None),
        ] {
            assert_eq!(error_text(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
