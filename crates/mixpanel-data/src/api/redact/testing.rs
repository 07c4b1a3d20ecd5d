//! Encodings in which a server may echo a secret. Each has a decoder that is independent of the code under test.

use std::io::Write as _;

/// An encoding and its decoder for displayed text.
pub(super) struct Coding {
    pub(super) name: &'static str,
    pub(super) encode: fn(&[u8]) -> String,
    pub(super) decode: fn(&str) -> Vec<Vec<u8>>,
}

const B64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const B64_URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const B32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const B32_HEX: &str = "0123456789abcdefghijklmnopqrstuv";
const HEX: &str = "0123456789abcdef";
const A85: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu";
const Z85: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
const B85: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const B58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const B36: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
/// The HTML entity names of letters such as é and of symbols.
const NAMES: [(char, &str); 12] = [
    ('@', "commat"),
    ('/', "sol"),
    ('+', "plus"),
    ('=', "equals"),
    (':', "colon"),
    ('&', "amp"),
    ('!', "excl"),
    ('.', "period"),
    ('_', "lowbar"),
    ('%', "percnt"),
    ('é', "eacute"),
    ('ü', "uuml"),
];

macro_rules! coding {
    ($name:expr, $encode:expr, $decode:expr) => {
        Coding { name: $name, encode: $encode, decode: $decode }
    };
}

/// All encodings.
pub(super) const CODINGS: &[Coding] = &[
    coding!("as it is", lossy, |text| vec![text.into()]),
    coding!("base64", |bytes| bits(bytes, B64, 6), |text| unbits(text, B64, 6)),
    coding!("base64url", |bytes| bits(bytes, B64_URL, 6), |text| unbits(text, B64_URL, 6)),
    coding!("base64 in lines", |bytes| grouped(&bits(bytes, B64, 6), 12, "\r\n "), |text| unbits(
        &joined(text),
        B64,
        6
    )),
    coding!("base64 in fours", |bytes| grouped(&bits(bytes, B64, 6), 4, " "), |text| unbits(&joined(text), B64, 6)),
    coding!("base32", |bytes| bits(bytes, B32, 5), |text| unbits(text, B32, 5)),
    coding!("base32 in lower case", |bytes| bits(bytes, B32, 5).to_lowercase(), |text| {
        unbits(&text.to_uppercase(), B32, 5)
    }),
    coding!("base32hex", |bytes| bits(bytes, B32_HEX, 5), |text| unbits(text, B32_HEX, 5)),
    coding!("hex", |bytes| bits(bytes, HEX, 4), |text| unbits(text, HEX, 4)),
    coding!("hex with colons", |bytes| grouped(&bits(bytes, HEX, 4), 2, ":"), |text| {
        unbits(&text.replace(':', ""), HEX, 4)
    }),
    coding!("hex with 0x", |bytes| each(bytes, |byte| format!("0x{byte:02x}, ")), |text| numbers(text, 16)),
    coding!("ascii85", |bytes| base85(bytes, A85), |text| unbase85(text, A85)),
    coding!("z85", |bytes| base85(bytes, Z85), |text| unbase85(text, Z85)),
    coding!("base85", |bytes| base85(bytes, B85), |text| unbase85(text, B85)),
    coding!("base58", |bytes| number(bytes, B58), |text| unnumber(text, B58)),
    coding!("base36", |bytes| number(bytes, B36), |text| unnumber(text, B36)),
    coding!("one number", |bytes| number(bytes, DIGITS), |text| unnumber(text, DIGITS)),
    coding!("gzip in base64", |bytes| bits(&gzip(bytes), B64, 6), |text| inflated(unbits(text, B64, 6))),
    coding!("gzip in hex", |bytes| bits(&gzip(bytes), HEX, 4), |text| inflated(unbits(text, HEX, 4))),
    coding!("UTF-16 in base64", |bytes| bits(&wide(bytes), B64, 6), |text| narrow(unbits(text, B64, 6))),
    coding!("UTF-16 in hex", |bytes| bits(&wide(bytes), HEX, 4), |text| narrow(unbits(text, HEX, 4))),
    coding!("numbers", |bytes| each(bytes, |byte| format!("{byte} ")), |text| numbers(text, 10)),
    coding!("numbers with commas", |bytes| each(bytes, |byte| format!("{byte},")), |text| numbers(text, 10)),
    coding!("octal", |bytes| each(bytes, |byte| format!("{byte:03o} ")), |text| numbers(text, 8)),
    coding!("octal escapes", |bytes| each(bytes, |byte| format!("\\{byte:03o}")), |text| numbers(text, 8)),
    coding!("binary", |bytes| each(bytes, |byte| format!("{byte:08b} ")), |text| numbers(text, 2)),
    coding!("binary without blanks", |bytes| each(bytes, |byte| format!("{byte:08b}")), |text| unbits(text, "01", 1)),
    coding!("digits in threes", |bytes| each(bytes, |byte| format!("{byte:03}")), |text| threes(text)),
    coding!("percent", |bytes| each(bytes, |byte| format!("%{byte:02X}")), |text| numbers(text, 16)),
    coding!("percent of symbols", |bytes| symbols(bytes, |c| format!("%{:02X}", u32::from(c))), |text| {
        marked(text, "%", 2, "")
    }),
    coding!("html", |bytes| each(bytes, |byte| format!("&#{byte};")), |text| numbers(text, 10)),
    coding!("html in hex", |bytes| each(bytes, |byte| format!("&#x{byte:X};")), |text| numbers(text, 16)),
    coding!("names of html", |bytes| symbols(bytes, named), |text| vec![unnamed(text).into()]),
    coding!("U+", |bytes| each(bytes, |byte| format!("U+{byte:04X} ")), |text| numbers(text, 16)),
    coding!("\\u", |bytes| each(bytes, |byte| format!("\\u{byte:04x}")), |text| numbers(text, 16)),
    coding!("\\x of symbols", |bytes| symbols(bytes, |c| format!("\\x{:02x}", u32::from(c))), |text| {
        marked(text, "\\x", 2, "")
    }),
    coding!("full width", |bytes| mapped(bytes, |c| moved(c, 33..=126, 0xfee0)), |text| {
        vec![text.chars().map(|c| moved(c, 0xff01..=0xff5e, -0xfee0)).collect::<String>().into()]
    }),
    coding!("bold", |bytes| mapped(bytes, |c| moved(c, 97..=122, 0x1d41a - 97)), |text| {
        vec![text.chars().map(|c| moved(c, 0x1d41a..=0x1d433, 97 - 0x1d41a)).collect::<String>().into()]
    }),
    coding!("tags", |bytes| mapped(bytes, |c| moved(c, 32..=126, 0xe0000)), |text| {
        vec![text.chars().map(|c| moved(c, 0xe0020..=0xe007e, -0xe0000)).collect::<String>().into()]
    }),
    coding!("rot13", |bytes| mapped(bytes, |c| caesar(c, 13)), |text| shifted(text)),
    coding!("rot7", |bytes| mapped(bytes, |c| caesar(c, 7)), |text| shifted(text)),
    coding!("rot47", |bytes| mapped(bytes, rot47), |text| vec![text.chars().map(rot47).collect::<String>().into()]),
    coding!("backwards", backwards, |text| vec![backwards(text.as_bytes()).into()]),
    coding!("with dashes", |bytes| spaced(bytes, "-"), |text| vec![text.replace('-', "").into()]),
    coding!("with blanks", |bytes| spaced(bytes, " "), |text| vec![joined(text).into()]),
    coding!("with line ends", |bytes| spaced(bytes, "\r\n"), |text| vec![joined(text).into()]),
    coding!("with nothing to see", |bytes| spaced(bytes, "\u{200b}"), |text| {
        vec![text.replace('\u{200b}', "").replace("\\u{200b}", "").into()]
    }),
    coding!("with soft hyphens", |bytes| spaced(bytes, "\u{ad}"), |text| vec![text.replace('\u{ad}', "").into()]),
    coding!("with tags of html", |bytes| spaced(bytes, "<b></b>"), |text| vec![text.replace("<b></b>", "").into()]),
    coding!("with quotes", |bytes| spaced(bytes, "\" + \""), |text| vec![text.replace("\" + \"", "").into()]),
    coding!("with words", |bytes| spaced(bytes, " then "), |text| vec![joined(&text.replace("then", "")).into()]),
];

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn each(bytes: &[u8], write: impl Fn(u8) -> String) -> String {
    bytes.iter().map(|byte| write(*byte)).collect()
}

fn mapped(bytes: &[u8], map: impl Fn(char) -> char) -> String {
    lossy(bytes).chars().map(map).collect()
}

fn symbols(bytes: &[u8], write: impl Fn(char) -> String) -> String {
    let write = |c: char| if c.is_ascii() && !c.is_ascii_alphanumeric() { write(c) } else { c.to_string() };
    lossy(bytes).chars().map(write).collect()
}

fn spaced(bytes: &[u8], between: &str) -> String {
    lossy(bytes).chars().map(String::from).collect::<Vec<_>>().join(between)
}

fn grouped(text: &str, length: usize, between: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(length).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(between)
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

fn backwards(bytes: &[u8]) -> String {
    lossy(bytes).chars().rev().collect()
}

fn moved(c: char, range: std::ops::RangeInclusive<u32>, by: i64) -> char {
    let code = u32::from(c);
    let to = u32::try_from(i64::from(code) + by).ok().and_then(char::from_u32);
    to.filter(|_| range.contains(&code)).unwrap_or(c)
}

fn caesar(c: char, by: u8) -> char {
    let turn = |first: u8| char::from((c as u8 - first + by) % 26 + first);
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        c => c,
    }
}

fn shifted(text: &str) -> Vec<Vec<u8>> {
    (1..26).map(|by| text.chars().map(|c| caesar(c, by)).collect::<String>().into()).collect()
}

fn rot47(c: char) -> char {
    if c.is_ascii_graphic() { char::from((c as u8 - 33 + 47) % 94 + 33) } else { c }
}

/// Encodes bytes as digits of `width` bits.
pub(super) fn bits(bytes: &[u8], alphabet: &str, width: usize) -> String {
    let mut digits: String = each(bytes, |byte| format!("{byte:08b}"));
    digits.push_str(&"0".repeat((width - digits.len() % width) % width));
    let digit = |part: &[u8]| usize::from_str_radix(std::str::from_utf8(part).unwrap(), 2).unwrap();
    digits.as_bytes().chunks(width).map(|part| char::from(alphabet.as_bytes()[digit(part)])).collect()
}

fn unbits(text: &str, alphabet: &str, width: usize) -> Vec<Vec<u8>> {
    let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap();
    let runs = text.split(|c| !alphabet.contains(c)).filter(|run| !run.is_empty());
    let bits: Vec<String> = runs
        .map(|run| run.chars().map(|c| format!("{:0width$b}", alphabet.find(c).unwrap())).collect::<String>())
        .collect();
    bits.iter()
        .flat_map(|bits| {
            (0..8.min(bits.len())).map(|start| bits.as_bytes()[start..].chunks_exact(8).map(byte).collect())
        })
        .collect()
}

fn base85(bytes: &[u8], alphabet: &str) -> String {
    let digits = |part: &[u8]| {
        let value = (0..4).fold(0_u64, |value, at| value * 256 + u64::from(*part.get(at).unwrap_or(&0)));
        let digit = |power| alphabet.as_bytes()[(value / 85_u64.pow(power) % 85) as usize];
        (0..5).rev().map(digit).map(char::from).take(part.len() + 1).collect::<String>()
    };
    bytes.chunks(4).map(digits).collect()
}

fn unbase85(text: &str, alphabet: &str) -> Vec<Vec<u8>> {
    let value = |part: &[char]| {
        (0..5).fold(0_u64, |value, at| value * 85 + part.get(at).map_or(84, |c| alphabet.find(*c).unwrap() as u64))
    };
    let decoded = |run: &[char]| -> Vec<u8> {
        run.chunks(5)
            .flat_map(|part| {
                u32::try_from(value(part) & 0xffff_ffff).unwrap().to_be_bytes().into_iter().take(part.len() - 1)
            })
            .collect()
    };
    let characters: Vec<char> = text.chars().collect();
    characters
        .split(|c| !alphabet.contains(*c))
        .flat_map(|run| (0..5.min(run.len())).map(|start| decoded(&run[start..])).collect::<Vec<_>>())
        .collect()
}

/// Encodes all bytes as one number.
fn number(bytes: &[u8], alphabet: &str) -> String {
    let mut digits = vec![0_usize];
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % alphabet.len();
            carry /= alphabet.len();
        }
        while carry > 0 {
            digits.push(carry % alphabet.len());
            carry /= alphabet.len();
        }
    }
    digits.iter().rev().map(|digit| char::from(alphabet.as_bytes()[*digit])).collect()
}

fn unnumber(text: &str, alphabet: &str) -> Vec<Vec<u8>> {
    let decoded = |run: &str| {
        let mut bytes = vec![0_usize];
        for c in run.chars() {
            let mut carry = alphabet.find(c).unwrap();
            for byte in &mut bytes {
                carry += *byte * alphabet.len();
                *byte = carry % 256;
                carry /= 256;
            }
            while carry > 0 {
                bytes.push(carry % 256);
                carry /= 256;
            }
        }
        bytes.iter().rev().map(|byte| u8::try_from(*byte).unwrap()).collect()
    };
    text.split(|c| !alphabet.contains(c)).map(decoded).collect()
}

fn numbers(text: &str, base: u32) -> Vec<Vec<u8>> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let number =
        |word: &str| u8::from_str_radix(word.trim_start_matches("0x").trim_start_matches(['x', 'U', 'u']), base);
    vec![words.filter_map(|word| number(word).ok()).collect()]
}

fn threes(text: &str) -> Vec<Vec<u8>> {
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() > 2);
    runs.map(|run| {
        let code = |part: &[u8]| std::str::from_utf8(part).unwrap().parse::<u8>().ok();
        run.as_bytes().chunks_exact(3).filter_map(code).collect()
    })
    .collect()
}

/// Decodes escapes with the given number of hexadecimal digits.
fn marked(text: &str, mark: &str, digits: usize, end: &str) -> Vec<Vec<u8>> {
    let mut decoded = String::new();
    for (index, part) in text.split(mark).enumerate() {
        let code = part.get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match code.filter(|_| index > 0) {
            Some(c) => decoded.push_str(&format!("{c}{}", part[digits..].trim_start_matches(end))),
            None => decoded.push_str(part),
        }
    }
    vec![decoded.into()]
}

fn named(c: char) -> String {
    NAMES.iter().find(|(of, _)| *of == c).map_or_else(|| c.to_string(), |(_, name)| format!("&{name};"))
}

fn unnamed(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (c, name)| text.replace(&format!("&{name};"), &c.to_string()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inflated(all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let inflated = |bytes: &Vec<u8>| {
        let mut text = Vec::new();
        let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text);
        text
    };
    all.iter().map(inflated).collect()
}

fn wide(bytes: &[u8]) -> Vec<u8> {
    lossy(bytes).encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn narrow(all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    all.into_iter().map(|bytes| bytes.into_iter().filter(|byte| *byte != 0).collect()).collect()
}
