//! Decodes response bodies, within the size limits, and extracts the server's explanation of an error.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde_json::Value;

use crate::limits::{COMPRESSION_RATIO_MAX, ERROR_BODY_BYTES_MAX, ERROR_EXCERPT_CHARS};
use crate::text;

use super::failure::{Failure, FailureKind};

/// The most content codings that may be nested. Intermediaries have compressed bodies that were compressed already.
pub(super) const CODINGS_MAX: usize = 2;

/// The first two bytes of a gzip member (RFC 1952, 2.3.1).
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decodes a body according to its `Content-Encoding`, last coding first (RFC 9110, 8.4). Requests accept only gzip,
/// but a server or an intermediary may still use `deflate`, which needs no further dependency. Coding names are
/// case-insensitive.
///
/// # Errors
/// `BadReply` for an unsupported coding, which the message names, for damaged data, or if the decoded text is larger
/// than `most` bytes or has an implausible compression ratio.
pub(super) fn decode(headers: &HeaderMap, bytes: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
    let bad = |message: String| Err(Failure::new(FailureKind::BadReply, message));
    let codings = codings(headers);
    if codings.len() > CODINGS_MAX {
        return bad(format!("the response is compressed {} times", codings.len()));
    }
    let mut bytes = bytes;
    for coding in codings.into_iter().rev() {
        bytes = match coding.as_str() {
            "gzip" | "x-gzip" => inflate(&bytes, GzipMembers::new(&bytes), most)?,
            // Some servers omit the zlib wrapper that the standard requires.
            "deflate" => match inflate(&bytes, ZlibDecoder::new(bytes.as_slice()), most) {
                Ok(text) => text,
                Err(_) => inflate(&bytes, DeflateDecoder::new(bytes.as_slice()), most)?,
            },
            other => {
                return bad(format!(
                    "the response is compressed with `{}`, but only gzip was accepted",
                    excerpt(other)
                ));
            }
        };
    }
    Ok(bytes)
}

/// Returns the codings that the headers name, in lower case and in the order of their application, without `identity`.
pub(super) fn codings(headers: &HeaderMap) -> Vec<String> {
    let list = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let list = list.collect::<Vec<_>>().join(",").to_ascii_lowercase();
    let codings = list.split(',').map(str::trim).filter(|coding| !matches!(*coding, "" | "identity"));
    codings.map(str::to_owned).collect()
}

/// Reads all members of a gzip body. Ignores bytes after the last member that do not begin another one, as gzip itself
/// does: some servers pad the body. Every member ends with its own checksum and length, so nothing can be missing.
struct GzipMembers<'a> {
    member: GzDecoder<&'a [u8]>,
}

impl<'a> GzipMembers<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { member: GzDecoder::new(bytes) }
    }
}

impl Read for GzipMembers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.member.read(buffer)?;
            let rest = *self.member.get_ref();
            if count > 0 || buffer.is_empty() || !rest.starts_with(&GZIP_MAGIC) {
                return Ok(count);
            }
            self.member = GzDecoder::new(rest);
        }
    }
}

fn inflate(bytes: &[u8], decoder: impl Read, most: usize) -> Result<Vec<u8>, Failure> {
    let by_ratio = bytes.len().saturating_mul(COMPRESSION_RATIO_MAX).max(1 << 20);
    let most = by_ratio.min(most);
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(8).min(most));
    decoder
        .take(most as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(FailureKind::BadReply, format!("the compressed response is damaged: {error}")))?;
    if text.len() > most {
        return Err(Failure::new(FailureKind::BadReply, "the compressed response expands beyond the limit for a page"));
    }
    Ok(text)
}

/// Returns the server's error message: the `error` or `message` member of a JSON response, the title of an HTML page,
/// or else the text itself.
pub(super) fn said(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_BYTES_MAX)]);
    let said = json_error(&text).or_else(|| {
        html_title(&text).map(|title| match title.as_str() {
            "" => "a web page without a title".to_owned(),
            title => format!("a web page titled `{title}`"),
        })
    });
    said.map_or(text, Cow::Owned)
}

/// Returns the full explanation of an error: the explanatory members of a JSON object, without the request that some
/// servers echo; otherwise the whole text.
pub(super) fn explanation(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_BYTES_MAX)]);
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(members)) => {
            let explaining = members.iter().filter(|(name, _)| ERROR_MEMBERS.contains(&name.to_lowercase().as_str()));
            let mut texts = Vec::new();
            explaining.for_each(|(_, value)| collect_texts(value, &mut texts));
            texts.join("; ")
        }
        Ok(Value::String(text)) => text,
        _ => text.into_owned(),
    }
}

/// Returns the explanation from a response that has a success status but reports an error; `None` if it reports none.
/// A long response is never taken for an error.
pub(super) fn error_in_success_body(body: &[u8]) -> Option<String> {
    if body.len() > ERROR_BODY_BYTES_MAX || body.trim_ascii_start().starts_with(b"[") {
        return None;
    }
    match serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)) {
        Ok(Value::Object(members)) => {
            let is_nothing = |value: &Value| match value {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) => text.is_empty(),
                Value::Array(values) => values.is_empty(),
                _ => false,
            };
            let has = |name: &str| members.get(name).is_some_and(|value| !is_nothing(value));
            if has("results") && !has("error") {
                return None;
            }
        }
        // A page with a malformed record is not valid JSON, and its profiles may mention limits.
        Err(_) if String::from_utf8_lossy(body).contains("results") => return None,
        _ => {}
    }
    Some(explanation(body))
}

/// The JSON members that explain an error, in lower case.
const ERROR_MEMBERS: [&str; 14] = [
    "error",
    "errors",
    "error_message",
    "error_description",
    "message",
    "msg",
    "detail",
    "details",
    "reason",
    "description",
    "title",
    "status",
    "code",
    "fault",
];

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => {
            let explaining = members.iter().filter(|(name, _)| ERROR_MEMBERS.contains(&name.to_lowercase().as_str()));
            explaining.for_each(|(_, value)| collect_texts(value, texts));
        }
        _ => {}
    }
}

/// Formats server text for an error message: truncated, on one line, with control characters escaped. Redact secrets
/// first, because a truncated secret is not recognized.
pub(super) fn excerpt(said: &str) -> String {
    text::excerpt(&said.split_whitespace().collect::<Vec<_>>().join(" "), ERROR_EXCERPT_CHARS)
}

fn json_error(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let error = value.get("error").or_else(|| value.get("message"))?;
    Some(error.as_str().map_or_else(|| error.to_string(), str::to_owned))
}

/// Returns the title of an HTML page, empty if it has none; `None` if the text is not HTML.
pub(super) fn html_title(text: &str) -> Option<String> {
    let head: String = text.chars().take(4096).collect::<String>().to_ascii_lowercase();
    let start = head.trim_start();
    if !start.starts_with("<!doctype html") && !start.starts_with("<html") && !head.contains("<title") {
        return None;
    }
    let title = head.find("<title").and_then(|open| {
        let from = open + head[open..].find('>')? + 1;
        let to = from + head[from..].find("</title")?;
        text.get(from..to).map(str::trim)
    });
    Some(title.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::limits::PAGE_BYTES_MAX;

    fn decode(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        super::decode(headers, bytes, PAGE_BYTES_MAX)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(coding: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())])
    }

    fn deflated(text: &[u8], with_frame: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let level = flate2::Compression::default();
        if with_frame {
            flate2::read::ZlibEncoder::new(text, level).read_to_end(&mut bytes).unwrap();
        } else {
            flate2::read::DeflateEncoder::new(text, level).read_to_end(&mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn bytes_after_the_last_gzip_member_are_ignored_and_damaged_members_are_not() {
        let (one, two) = (gzip(b"te"), gzip(b"xt"));
        for padding in [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"garbage", b"\x1f", b"\n"] {
            let body = [one.as_slice(), &two, padding].concat();
            assert_eq!(decode(&encoded("gzip"), body).unwrap(), b"text", "{padding:?}");
        }
        for cut in 1..two.len() - 1 {
            let body = [one.as_slice(), &two[..two.len() - cut]].concat();
            assert!(decode(&encoded("gzip"), body).is_err(), "the second member lacks {cut} bytes");
        }
        for position in one.len() - 8..one.len() {
            let mut body = [one.as_slice(), &two].concat();
            body[position] ^= 1;
            assert!(decode(&encoded("gzip"), body).is_err(), "checksum or length changed at {position}");
        }
        assert!(decode(&encoded("gzip"), b"\0\0".to_vec()).is_err());
    }

    #[test]
    fn decodes_every_form_of_content_encoding() {
        let once = gzip(b"text");
        for coding in [
            "gzip",
            "GZIP",
            "Gzip",
            "x-gzip",
            "X-GZip",
            " gzip ",
            "gzip, identity",
            "identity,gzip",
            ", gzip,,",
            "gzip\t",
        ] {
            assert_eq!(decode(&encoded(coding), once.clone()).unwrap(), b"text", "{coding:?}");
        }
        for coding in ["identity", "", " ", "Identity, identity", ",,"] {
            assert_eq!(decode(&encoded(coding), b"text".to_vec()).unwrap(), b"text", "{coding:?}");
        }
        assert_eq!(decode(&HeaderMap::new(), b"text".to_vec()).unwrap(), b"text");
        assert_eq!(decode(&encoded("gzip, GZIP"), gzip(&once)).unwrap(), b"text");
        assert_eq!(decode(&encoded("deflate, gzip"), gzip(&deflated(b"text", true))).unwrap(), b"text");
        for with_frame in [true, false] {
            assert_eq!(decode(&encoded("Deflate"), deflated(b"text", with_frame)).unwrap(), b"text");
        }
        let mut repeated = encoded("identity");
        repeated.append(CONTENT_ENCODING, "".parse().unwrap());
        repeated.append(CONTENT_ENCODING, "GZip".parse().unwrap());
        assert_eq!(decode(&repeated, once).unwrap(), b"text");
    }

    #[test]
    fn names_the_coding_that_it_does_not_know() {
        for coding in ["br", "zstd", "compress", "gzip, BR", "br, gzip", "gzip;q=1", "gzipp", "aes128gcm"] {
            let message = decode(&encoded(coding), gzip(b"text")).unwrap_err().message;
            let named = coding.to_ascii_lowercase().replace("gzip, ", "").replace(", gzip", "");
            assert!(message.contains(&format!("`{named}`")), "{coding}: {message}");
        }
        let foreign = HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_bytes(b"g\xffip").unwrap())]);
        assert!(decode(&foreign, gzip(b"text")).is_err());
        assert!(decode(&encoded("gzip, gzip, gzip"), gzip(b"text")).unwrap_err().message.contains("3 times"));
    }

    #[test]
    fn refuses_bombs_and_damage() {
        let bomb = gzip(&vec![b' '; 32 << 20]);
        assert!(bomb.len() * COMPRESSION_RATIO_MAX < 32 << 20);
        assert!(decode(&encoded("gzip"), bomb).unwrap_err().message.contains("beyond the limit"));
        let whole = gzip(b"a longer text that is cut");
        assert!(decode(&encoded("gzip"), whole[..whole.len() - 5].to_vec()).is_err());
    }

    #[test]
    fn explanation_contains_the_error_but_not_the_request() {
        for (body, expected) in [
            (r#"{"status":"error","error":"no","request":"/x?where=60 per hour"}"#, "error; no"),
            (r#"{"errors":[{"code":"E1","title":"no","source":"x"}],"results":["y"]}"#, "E1; no"),
            (r#"{"error":{"message":"no","where":"x"}}"#, "no"),
            (r#""no""#, "no"),
            ("no", "no"),
            ("{'error': 'no'}", "{'error': 'no'}"),
        ] {
            assert_eq!(explanation(body.as_bytes()), expected, "{body}");
        }
        for (body, expected) in [
            (r#"{"error":"no","results":[{}]}"#, Some("no")),
            (r#"{"error":null,"message":"no","results":[]}"#, Some("no")),
            (r#"{"error":"","message":"no","results":[{}]}"#, None),
            (r#" ["no"]"#, None),
            ("{\"results\":[{\"x\":\"rate limit\texceeded\"}]}", None),
            ("no", Some("no")),
        ] {
            assert_eq!(error_in_success_body(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn excerpts_server_messages() {
        for (body, expected) in [
            (&br#"{"error":"no such\nproperty","request":"/x"}"#[..], "no such property"),
            (b"plain \x1b[31mtext", "plain \\u{1b}[31mtext"),
            (b"<html><head><title> Sign in </title>", "a web page titled `Sign in`"),
            (b"<!DOCTYPE html><p>x", "a web page without a title"),
            (b"", ""),
        ] {
            assert_eq!(excerpt(&said(body)), expected);
        }
        assert_eq!(excerpt(&"x".repeat(1000)).chars().count(), ERROR_EXCERPT_CHARS + 1);
    }
}
