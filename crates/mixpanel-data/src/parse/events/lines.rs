//! Splits a body into lines.

use std::io::{self, BufRead};

use crate::limits::{EVENT_LINE_BYTES_MAX, REJECT_BYTES_MAX};

/// A line without its line break. A carriage return before the line break is not part of it either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The line, or the beginning of one that is longer than the limit.
    pub(crate) text: &'a [u8],
    /// The length of the whole line in bytes.
    pub(crate) bytes: u64,
    /// Whether a line break ends it.
    pub(crate) is_ended: bool,
    /// The last byte that is not white space.
    pub(crate) last: Option<u8>,
}

impl<'a> Line<'a> {
    fn whole(text: &'a [u8], is_ended: bool) -> Self {
        let text = if is_ended { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
        Self { text, bytes: text.len() as u64, is_ended, last: last_of(text) }
    }

    /// Returns whether the line is longer than the limit, so that its text is incomplete.
    pub(crate) fn is_too_long(&self) -> bool {
        self.bytes > EVENT_LINE_BYTES_MAX as u64
    }
}

fn last_of(text: &[u8]) -> Option<u8> {
    text.iter().rev().find(|byte| !byte.is_ascii_whitespace()).copied()
}

/// The capacity that is kept for lines that do not lie in one chunk.
const KEPT_CAPACITY: usize = 1 << 20;

/// The beginning of a line whose end has not been read yet.
#[derive(Default)]
struct Carried {
    text: Vec<u8>,
    bytes: u64,
    last: Option<u8>,
}

impl Carried {
    fn push(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        self.bytes += part.len() as u64;
        self.last = last_of(part).or(self.last);
        // One byte more, for the carriage return.
        if self.bytes <= EVENT_LINE_BYTES_MAX as u64 + 1 {
            self.text.extend_from_slice(part);
        } else if self.text.len() > REJECT_BYTES_MAX {
            self.text.truncate(REJECT_BYTES_MAX);
            self.text.shrink_to_fit();
        }
    }

    fn line(&self, is_ended: bool) -> Line<'_> {
        if self.text.len() as u64 == self.bytes {
            return Line::whole(&self.text, is_ended);
        }
        Line { text: &self.text, bytes: self.bytes, is_ended, last: self.last }
    }

    fn clear(&mut self) {
        if self.text.capacity() > KEPT_CAPACITY {
            self.text = Vec::new();
        }
        self.text.clear();
        (self.bytes, self.last) = (0, None);
    }
}

/// Calls `each` for every line of a body, and returns the size of the body in bytes.
///
/// Only the byte `0x0A` ends a line: other characters that some programs take for a line break occur in values.
///
/// # Errors
/// The error of the body or of `each`, after which nothing more is read.
pub(crate) fn for_each_line<E: From<io::Error>>(
    mut body: impl BufRead,
    mut each: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut carried = Carried::default();
    let mut bytes = 0;
    loop {
        let chunk = match body.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (text, after) = (&rest[..end], &rest[end + 1..]);
            if carried.bytes == 0 {
                each(Line::whole(text, true))?;
            } else {
                carried.push(text);
                each(carried.line(true))?;
                carried.clear();
            }
            rest = after;
        }
        carried.push(rest);
        let read = chunk.len();
        bytes += read as u64;
        body.consume(read);
    }
    if carried.bytes > 0 {
        each(carried.line(false))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn lines(body: &[u8], chunk: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Vec::new();
        let read = for_each_line(BufReader::with_capacity(chunk, body), |line| {
            assert_eq!((line.bytes, line.last), (line.text.len() as u64, last_of(line.text)));
            lines.push((line.text.to_vec(), line.is_ended));
            Ok::<(), io::Error>(())
        });
        assert_eq!(read.unwrap(), body.len() as u64);
        lines
    }

    #[test]
    fn only_a_line_feed_ends_a_line() {
        let line = "a\u{2028}b\u{2029}\u{85}\u{b}\u{c}\u{1c}\u{1d}\u{1e}\rc";
        for (body, expected) in [
            (String::new(), vec![]),
            ("\n".to_owned(), vec![("", true)]),
            (format!("{line}\r\n{line}\n"), vec![(line, true), (line, true)]),
            (format!("{line}\n\n{line}"), vec![(line, true), ("", true), (line, false)]),
            ("x\r".to_owned(), vec![("x\r", false)]),
            ("x\r\r\n\r\n".to_owned(), vec![("x\r", true), ("", true)]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(text, ended)| (text.as_bytes().to_vec(), ended)).collect();
            for chunk in 1..=body.len() + 1 {
                assert_eq!(lines(body.as_bytes(), chunk), expected, "{body:?} in chunks of {chunk}");
            }
        }
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(body in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..80), chunk in 1_usize..20) {
            prop_assert_eq!(lines(&body, chunk), lines(&body, 1 << 10));
        }
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_one_is_not() {
        for (extra, is_too_long) in [(0, false), (1, true), (1 << 20, true)] {
            for ending in ["\n", "\r\n", ""] {
                let mut body = vec![b'x'; EVENT_LINE_BYTES_MAX + extra];
                body.extend_from_slice(ending.as_bytes());
                body.extend_from_slice(if ending.is_empty() { b"" } else { b"next\n" });
                let mut found = Vec::new();
                for_each_line(BufReader::with_capacity(1 << 16, body.as_slice()), |line| {
                    let is_cut = extra > 1 && line.text.len() == REJECT_BYTES_MAX;
                    found.push((line.is_too_long(), is_cut, line.is_ended, line.last));
                    Ok::<(), io::Error>(())
                })
                .unwrap();
                assert_eq!(found[0], (is_too_long, extra > 1, !ending.is_empty(), Some(b'x')), "{extra} {ending:?}");
                assert_eq!(found.get(1).is_some(), !ending.is_empty());
            }
        }
    }

    #[test]
    fn an_error_ends_the_reading() {
        struct Failing(u32);
        impl io::Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => {
                        buffer[..3].copy_from_slice(b"a\nb");
                        Ok(3)
                    }
                    _ => Err(io::ErrorKind::ConnectionReset.into()),
                }
            }
        }
        let mut seen = 0;
        let result = for_each_line(BufReader::new(Failing(0)), |_| {
            seen += 1;
            Ok::<(), io::Error>(())
        });
        assert_eq!((result.unwrap_err().kind(), seen), (io::ErrorKind::ConnectionReset, 1));
    }
}
