//! Decodes a body while it is read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;

use super::body::{CODINGS_MAX, GZIP_MAGIC};

/// Size of the buffer for decoded bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// How much of the data after a compressed body is kept, to recognize a message of the server.
const TRAILING_BYTES_MAX: u64 = 4 << 10;

/// The error of a compressed body with other data after its end: how that data begins, without padding.
#[derive(Debug)]
pub(crate) struct TrailingData(pub(crate) Vec<u8>);

impl fmt::Display for TrailingData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("other data follows the compressed data")
    }
}

impl std::error::Error for TrailingData {}

/// A body as text, whether or not it is compressed.
///
/// The first two bytes decide, not the header: Mixpanel sends small bodies as they are, and intermediaries decompress
/// bodies without changing the header. No JSON begins with these bytes.
pub(crate) struct Inflated<'a> {
    text: Box<dyn BufRead + 'a>,
    /// The end of the outermost gzip data; unchanged for a body that is not compressed.
    end: Rc<Cell<GzipEnd>>,
}

impl<'a> Inflated<'a> {
    /// Reads the beginning of a body.
    ///
    /// # Errors
    /// The error of the body. Reading the text fails with [`TrailingData`] if other data than padding follows.
    pub(crate) fn new(body: impl BufRead + 'a) -> io::Result<Self> {
        let end = Rc::default();
        let mut text: Box<dyn BufRead + 'a> = Box::new(body);
        for layer in 0..CODINGS_MAX {
            let mut peeked = Peeked { inner: text, ahead: Vec::new(), at: 0 };
            let is_gzip = peeked.begins_member()?;
            if !is_gzip {
                text = Box::new(peeked);
                break;
            }
            let end = if layer == 0 { Rc::clone(&end) } else { Rc::default() };
            text = Box::new(io::BufReader::with_capacity(BUFFER_BYTES, Members::new(peeked, end)));
        }
        Ok(Self { text, end })
    }

    /// Returns whether the checksum of the only gzip member shows that the body is complete, once the text was read. With
    /// several members or with padding, more could have followed.
    ///
    /// A body of several members that is cut exactly after the first one looks the same as a body of one member: nothing
    /// in a member tells whether another one follows (RFC 1952, 2.2). Only the connection could show the difference.
    pub(crate) fn proves_end(&self) -> bool {
        self.end.get() == GzipEnd::OneMember
    }
}

impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

impl BufRead for Inflated<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.text.consume(count);
    }
}

/// A body whose first bytes were read ahead.
struct Peeked<R> {
    inner: R,
    ahead: Vec<u8>,
    at: usize,
}

impl<R: BufRead> Peeked<R> {
    /// Returns whether the next bytes are the beginning of a gzip member.
    fn begins_member(&mut self) -> io::Result<bool> {
        self.ahead.drain(..self.at);
        self.at = 0;
        while self.ahead.len() < GZIP_MAGIC.len() {
            let missing = GZIP_MAGIC.len() - self.ahead.len();
            let found = match self.inner.fill_buf() {
                Ok([]) => return Ok(false),
                Ok(bytes) => &bytes[..bytes.len().min(missing)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let count = found.len();
            self.ahead.extend_from_slice(found);
            self.inner.consume(count);
        }
        Ok(self.ahead.starts_with(&GZIP_MAGIC))
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.fill_buf()?;
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.ahead.len() { Ok(&self.ahead[self.at..]) } else { self.inner.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.ahead.len() {
            self.at = (self.at + count).min(self.ahead.len());
        } else {
            self.inner.consume(count);
        }
    }
}

/// How gzip data ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum GzipEnd {
    #[default]
    NotReached,
    /// One member, and nothing after it.
    OneMember,
    /// Several members, or padding.
    Other,
}

/// The members of a gzip body. Every member ends with its own checksum and length.
///
/// Some servers pad the body with zeros. Unlike gzip itself, which ignores any data after the last member, anything else
/// is an error: the server may report there that it could not send the rest.
struct Members<R: BufRead> {
    /// `None` after the end.
    member: Option<GzDecoder<Peeked<R>>>,
    is_first: bool,
    end: Rc<Cell<GzipEnd>>,
}

impl<R: BufRead> Members<R> {
    fn new(body: Peeked<R>, end: Rc<Cell<GzipEnd>>) -> Self {
        Self { member: Some(GzDecoder::new(body)), is_first: true, end }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(member) = self.member.take() {
                let mut body = member.into_inner();
                if body.begins_member()? {
                    self.is_first = false;
                    self.member = Some(GzDecoder::new(body));
                } else {
                    let is_padded = read_padding(&mut body)?;
                    let is_only = self.is_first && !is_padded;
                    self.end.set(if is_only { GzipEnd::OneMember } else { GzipEnd::Other });
                }
            }
        }
        Ok(0)
    }
}

/// Reads the padding at the end of a body, and returns whether there was any.
fn read_padding(body: &mut impl BufRead) -> io::Result<bool> {
    let mut is_padded = false;
    loop {
        let chunk = match body.fill_buf() {
            Ok([]) => return Ok(is_padded),
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let zeros = chunk.iter().take_while(|byte| **byte == 0).count();
        let is_padding = zeros == chunk.len();
        body.consume(zeros);
        if !is_padding {
            let mut trailing = Vec::new();
            body.take(TRAILING_BYTES_MAX).read_to_end(&mut trailing)?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, TrailingData(trailing)));
        }
        is_padded = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(body: &[u8], chunk: usize) -> io::Result<(Vec<u8>, bool)> {
        let mut inflated = Inflated::new(io::BufReader::with_capacity(chunk, body))?;
        let mut text = Vec::new();
        inflated.read_to_end(&mut text)?;
        Ok((text, inflated.proves_end()))
    }

    #[test]
    fn bodies_are_decoded_in_chunks_of_any_size() {
        let text = b"{\"event\":\"a\"}\n".repeat(40);
        let (one, two) = text.split_at(111);
        for (body, proves_end) in [
            (text.clone(), false),
            (gzip(&text), true),
            (gzip(&gzip(&text)), true),
            ([gzip(one), gzip(two)].concat(), false),
            ([gzip(&text), gzip(b"")].concat(), false),
            ([gzip(&text), b"\0".to_vec()].concat(), false),
            ([gzip(&text), vec![0; 5_000]].concat(), false),
            ([gzip(one), gzip(two), vec![0; 3]].concat(), false),
            (gzip(&[gzip(one), gzip(two), vec![0; 3]].concat()), true),
            ([gzip(&gzip(&text)), vec![0; 3]].concat(), false),
        ] {
            for chunk in [1, 2, 3, 7, 64, 1 << 16] {
                assert_eq!(inflate(&body, chunk).unwrap(), (text.clone(), proves_end), "chunks of {chunk}");
            }
        }
        for body in [&b""[..], b"\x1f", b"x", b"\x8b\x1f"] {
            assert_eq!(inflate(body, 1).unwrap(), (body.to_vec(), false));
        }
    }

    #[test]
    fn a_body_that_is_cut_or_damaged_is_an_error() {
        let (one, two) = (gzip(b"some text that is long enough"), gzip(b"more text"));
        for cut in 2..one.len() {
            assert!(inflate(&one[..cut], 5).is_err(), "cut after {cut}");
        }
        let whole = [one.as_slice(), &two].concat();
        for cut in one.len() + 1..whole.len() {
            assert!(inflate(&whole[..cut], 5).is_err(), "cut after {cut}");
        }
        for position in whole.len() - 8..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            assert!(inflate(&damaged, 5).is_err(), "damaged at {position}");
        }
    }
    #[test]
    fn only_members_and_padding_may_follow_a_member() {
        let (one, two) = (gzip(b"one"), gzip(b"two"));
        let long = b"x".repeat(10_000);
        for (rest, kept) in [
            (b"\nexport terminated early".as_slice(), b"\nexport terminated early".as_slice()),
            (br#"{"error":"oops"}"#, br#"{"error":"oops"}"#),
            (b"\x1f", b"\x1f"),
            (b"\x1f\x1f\x8b", b"\x1f\x1f\x8b"),
            (b"\n", b"\n"),
            (b"\0\0\0x\0", b"x\0"),
            (&[b"\0\0\0", two.as_slice()].concat(), &two),
            (&[two.as_slice(), b"\0x"].concat(), b"x"),
            (&long, &long[..4 << 10]),
        ] {
            let body = [one.as_slice(), rest].concat();
            for body in [gzip(&body), body] {
                for chunk in [1, 2, 3, 7, 64, 1 << 16] {
                    let error = inflate(&body, chunk).unwrap_err();
                    let trailing = error.get_ref().and_then(|error| error.downcast_ref::<TrailingData>());
                    assert_eq!(trailing.map(|data| data.0.as_slice()), Some(kept), "{rest:?} in chunks of {chunk}");
                }
            }
        }
    }
}
