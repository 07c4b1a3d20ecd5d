//! Gzip compression of a stream.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GzipPlan {
    /// From 1 to 9, or 0 for no compression.
    pub(super) level: u32,
    /// At least 1.
    pub(super) members: u32,
    /// The number of bytes that are missing at the end.
    pub(super) missing: usize,
}

/// Compresses a stream, piece by piece.
#[derive(Debug)]
pub(super) struct Gzip {
    plan: GzipPlan,
    member: Member,
    members_left: u32,
}

#[derive(Debug)]
enum Member {
    Deflated(Box<GzEncoder<Vec<u8>>>),
    /// Blocks without compression, which cost only a checksum.
    Stored(Crc, Vec<u8>),
}

impl Gzip {
    pub(super) fn new(plan: GzipPlan) -> Self {
        Self { plan, member: Member::new(plan.level), members_left: plan.members.max(1) - 1 }
    }

    /// Compresses a piece; the result may be empty. Each piece is a member until the last one.
    pub(super) fn write(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = self.member.write(piece);
        if self.members_left > 0 {
            self.members_left -= 1;
            out.extend(std::mem::replace(&mut self.member, Member::new(self.plan.level)).finish());
        }
        out
    }

    /// Returns the rest of the stream.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.members_left {
            out.extend(std::mem::replace(&mut self.member, Member::new(self.plan.level)).finish());
        }
        out.extend(self.member.finish());
        out
    }
}

const WRITING: &str = "writing to a vector cannot fail";
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The length of a block without compression is a 16-bit number.
const STORED_MAX: usize = 0xFFFF;

impl Member {
    fn new(level: u32) -> Self {
        match level {
            0 => Self::Stored(Crc::new(), HEADER.to_vec()),
            level => Self::Deflated(Box::new(GzEncoder::new(Vec::new(), Compression::new(level.min(9))))),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Vec<u8> {
        match self {
            Self::Deflated(encoder) => {
                encoder.write_all(piece).expect(WRITING);
                std::mem::take(encoder.get_mut())
            }
            Self::Stored(crc, out) => {
                crc.update(piece);
                for block in piece.chunks(STORED_MAX) {
                    let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
                    out.push(0);
                    out.extend(length.to_le_bytes());
                    out.extend((!length).to_le_bytes());
                    out.extend_from_slice(block);
                }
                std::mem::take(out)
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Deflated(encoder) => encoder.finish().expect(WRITING),
            Self::Stored(crc, mut out) => {
                out.extend([1, 0, 0, 0xff, 0xff]);
                out.extend(crc.sum().to_le_bytes());
                out.extend(crc.amount().to_le_bytes());
                out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn any_level_and_number_of_members_unpacks_to_the_pieces() {
        let pieces: Vec<Vec<u8>> = vec![b"first ".repeat(30_000), Vec::new(), b"second".to_vec(), vec![b'x'; 0xFFFF]];
        for level in [0, 1, 6, 9, 12] {
            for members in [0, 1, 2, 3, 7] {
                let mut gzip = Gzip::new(GzipPlan { level, members, missing: 0 });
                let mut packed: Vec<u8> = pieces.iter().flat_map(|piece| gzip.write(piece)).collect();
                packed.extend(gzip.finish());
                let mut text = Vec::new();
                flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text).expect("gzip");
                assert_eq!(text, pieces.concat(), "level {level}, {members} members");
            }
        }
    }
}
