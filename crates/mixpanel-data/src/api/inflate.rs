//! Decodes a body while it is read.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The first two bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most times that a body is decompressed. Intermediaries have compressed bodies that were compressed already.
const CODINGS_MAX: usize = 2;

/// Size of the buffer for decoded bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// A body as text, whether or not it is compressed.
///
/// The first two bytes decide, not the header: Mixpanel sends small bodies as they are, and intermediaries decompress
/// bodies without changing the header. No JSON begins with these bytes.
pub(crate) struct Inflated<'a> {
    text: Box<dyn BufRead + 'a>,
    /// The number of gzip members read so far, not counting those inside of others; 0 for a body that is not compressed.
    members: std::rc::Rc<std::cell::Cell<u32>>,
}

impl<'a> Inflated<'a> {
    /// Reads the beginning of a body.
    ///
    /// # Errors
    /// The error of the body.
    pub(crate) fn new(body: impl BufRead + 'a) -> io::Result<Self> {
        let members = std::rc::Rc::default();
        let mut text: Box<dyn BufRead + 'a> = Box::new(body);
        for layer in 0..CODINGS_MAX {
            let mut peeked = Peeked { inner: text, ahead: Vec::new(), at: 0 };
            let is_gzip = peeked.begins_member()?;
            if !is_gzip {
                text = Box::new(peeked);
                break;
            }
            let counter = if layer == 0 { std::rc::Rc::clone(&members) } else { std::rc::Rc::default() };
            text = Box::new(io::BufReader::with_capacity(BUFFER_BYTES, Members::new(peeked, counter)));
        }
        Ok(Self { text, members })
    }

    /// Returns whether the checksum at the end of the only gzip member shows that the body is complete. With several
    /// members, more could have followed.
    pub(crate) fn proves_end(&self) -> bool {
        self.members.get() == 1
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

/// A body of which a few bytes were read ahead.
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

/// The members of a gzip body. Every member ends with its own checksum and length. Bytes after the last one that do not
/// begin another are read and ignored, as gzip itself does: some servers pad the body.
struct Members<R: BufRead> {
    /// `None` after the end.
    member: Option<GzDecoder<Peeked<R>>>,
    count: std::rc::Rc<std::cell::Cell<u32>>,
}

impl<R: BufRead> Members<R> {
    fn new(body: Peeked<R>, count: std::rc::Rc<std::cell::Cell<u32>>) -> Self {
        count.set(1);
        Self { member: Some(GzDecoder::new(body)), count }
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
                    self.count.set(self.count.get() + 1);
                    self.member = Some(GzDecoder::new(body));
                } else {
                    io::copy(&mut body, &mut io::sink())?;
                }
            }
        }
        Ok(0)
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
            ([gzip(&text), b"\0\0\0".to_vec()].concat(), true),
            ([gzip(&text), b"\x1f".to_vec()].concat(), true),
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
        for cut in one.len() + 2..whole.len() {
            assert!(inflate(&whole[..cut], 5).is_err(), "cut after {cut}");
        }
        for position in whole.len() - 8..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            assert!(inflate(&damaged, 5).is_err(), "damaged at {position}");
        }
    }
}
