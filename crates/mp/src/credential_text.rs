//! Validates credential values from files, shells and prompts.

use mixpanel_data::Secret;

use crate::failure::Failure;
use crate::text::is_unprintable;

/// Maximum size of a credential value; a service account's secret has 32 characters.
pub(crate) const CREDENTIAL_BYTES_MAX: usize = 4 << 10;

/// Returns the text without a leading byte order mark and trailing line ends.
///
/// # Errors
/// The reason for the rejection, phrased to follow the name of the text's source. It never includes the text.
pub(crate) fn credential_text(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is encoded in UTF-16, not UTF-8");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.len() > CREDENTIAL_BYTES_MAX {
        return Err("is too long");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty");
    }
    if text.trim().is_empty() {
        return Err("contains only whitespace");
    }
    if text.contains(['\r', '\n']) {
        return Err("has several lines");
    }
    if text.contains(|character| is_unprintable(character) || character == char::REPLACEMENT_CHARACTER) {
        return Err("contains a control character or an invisible one");
    }
    if text.trim() != text {
        return Err("starts or ends with whitespace");
    }
    Ok(text.to_owned())
}

/// Validates a secret. `source` names its origin in the error.
///
/// # Errors
/// A usage error if the bytes are not a valid secret.
pub(crate) fn secret_from(source: &str, bytes: &[u8]) -> Result<Secret, Failure> {
    let text = credential_text(bytes);
    let failed = |reason| {
        Failure::usage(format!("the secret {reason} (from {source})"))
            .hint("copy the service account's secret again; it is a single line of letters and digits")
    };
    text.map(Secret::new).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_text_is_trimmed_and_validated() {
        let table: [(&[u8], Result<&str, &str>); 22] = [
            (b"abc", Ok("abc")),
            (b"abc\n", Ok("abc")),
            (b"abc\r\n", Ok("abc")),
            (b"abc\r\n\r\n", Ok("abc")),
            (b"abc\r", Ok("abc")),
            (b"\xef\xbb\xbfabc\r\n", Ok("abc")),
            (b"a b", Ok("a b")),
            ("pässword".as_bytes(), Ok("pässword")),
            (b"", Err("is empty")),
            (b"\n", Err("is empty")),
            (b"\xef\xbb\xbf\r\n", Err("is empty")),
            (b" \t \n", Err("contains only whitespace")),
            (b"a\nb", Err("has several lines")),
            (b"a\r\nb\n", Err("has several lines")),
            (b"a\0b", Err("contains a control character or an invisible one")),
            (b"a\x1bb", Err("contains a control character or an invisible one")),
            ("a\u{200b}b".as_bytes(), Err("contains a control character or an invisible one")),
            ("a\u{fffd}b".as_bytes(), Err("contains a control character or an invisible one")),
            (b"abc \n", Err("starts or ends with whitespace")),
            (b"ab\xe9", Err("is not UTF-8")),
            (b"\xff\xfea\0b\0", Err("is encoded in UTF-16, not UTF-8")),
            (&[b'a'; CREDENTIAL_BYTES_MAX + 1], Err("is too long")),
        ];
        for (bytes, expected) in table {
            assert_eq!(credential_text(bytes), expected.map(str::to_owned), "{bytes:?}");
        }
    }
}
