//! The usual codings of text, undone wherever something looks like them. What does not is left as it is.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Takes Base64 without padding, and whatever the last bits are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Shorter runs are words.
const BASE64_CHARS_MIN: usize = 8;
/// Of what is decoded, as many characters in a row must be printable: else it is noise.
const PRINTABLE_MIN: usize = 4;
/// Names of characters in HTML that stand in secrets, their encodings, and between them.
const ENTITIES: [(&str, &str); 36] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("plus", "+"),
    ("sol", "/"),
    ("equals", "="),
    ("colon", ":"),
    ("semi", ";"),
    ("comma", ","),
    ("period", "."),
    ("num", "#"),
    ("excl", "!"),
    ("dollar", "$"),
    ("percnt", "%"),
    ("lpar", "("),
    ("rpar", ")"),
    ("ast", "*"),
    ("midast", "*"),
    ("commat", "@"),
    ("quest", "?"),
    ("lsqb", "["),
    ("lbrack", "["),
    ("rsqb", "]"),
    ("rbrack", "]"),
    ("bsol", "\\"),
    ("Hat", "^"),
    ("lowbar", "_"),
    ("grave", "`"),
    ("lcub", "{"),
    ("rcub", "}"),
    ("verbar", "|"),
    ("vert", "|"),
    ("hyphen", "-"),
    ("nbsp", " "),
];

/// Undoes each coding that the text may be in, by itself.
pub(super) fn all(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![unescaped(text, percent), unescaped(text, html), unescaped(text, backslash)];
    found.push(unescaped(text, quoted_printable));
    found.push(text.iter().copied().filter(|byte| !is_blank(*byte)).collect());
    found.push(text.iter().copied().filter(|byte| !is_filler(*byte)).collect());
    found.extend(hexadecimal(text));
    found.extend(numbers(text));
    found.extend(base64(text));
    found.retain(|decoded| decoded != text && !decoded.is_empty());
    found
}

/// Returns the letters and digits of ASCII in lower case.
pub(super) fn letters(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

/// Writes a text as it stands in a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &KEPT).to_string()
}

/// Blanks and control characters may stand between the parts of something that was split.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control()
}

/// What else may, with the quotation marks of code.
fn is_filler(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'"' | b'\'' | b',' | b'`' | b'\\')
}

/// Replaces what `read` recognises at the beginning of a rest of the text, and says how long it was.
fn unescaped(text: &[u8], read: impl Fn(&[u8]) -> Option<(usize, Vec<u8>)>) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        match read(rest) {
            Some((length, bytes)) => {
                decoded.extend(bytes);
                rest = &rest[length..];
            }
            None => {
                decoded.push(*first);
                rest = &rest[1..];
            }
        }
    }
    decoded
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// Reads a number in this base from the beginning; returns it and its length.
fn number(text: &[u8], base: u32, length_max: usize) -> Option<(u32, usize)> {
    let digits = text.iter().take(length_max).take_while(|byte| char::from(**byte).is_digit(base)).count();
    let text = std::str::from_utf8(&text[..digits]).ok().filter(|text| !text.is_empty())?;
    Some((u32::from_str_radix(text, base).ok()?, digits))
}

/// Code points below 256 may be bytes that were taken for characters, but those of ASCII are both.
fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|c| c.to_string().into_bytes())
}

/// `%41`, and `%u0041`.
fn percent(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    match rest {
        [b'%', b'u' | b'U', digits @ ..] => {
            let (code, length) = number(digits, 16, 4)?;
            (length == 4).then_some(())?;
            Some((6, utf8(code)?))
        }
        [b'%', high, low, ..] => Some((3, vec![u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?])),
        _ => None,
    }
}

/// `=41`, and a line that goes on.
fn quoted_printable(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    match rest {
        [b'=', b'\r', b'\n', ..] => Some((3, Vec::new())),
        [b'=', b'\n' | b' ', ..] => Some((2, Vec::new())),
        [b'=', high, low, ..] => Some((3, vec![u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?])),
        _ => None,
    }
}

/// `&amp;`, `&#65;`, `&#x41;`, also without the semicolon.
fn html(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [b'&', body @ ..] = rest else { return None };
    let (length, bytes) = match body {
        [b'#', b'x' | b'X', digits @ ..] => {
            let (code, length) = number(digits, 16, 8)?;
            (length + 3, utf8(code)?)
        }
        [b'#', digits @ ..] => {
            let (code, length) = number(digits, 10, 8)?;
            (length + 2, utf8(code)?)
        }
        _ => {
            let is_named = |(name, _): &&(&str, &str)| {
                body.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            };
            let (name, character) = ENTITIES.iter().find(is_named)?;
            (name.len() + 1, character.as_bytes().to_vec())
        }
    };
    Some((length + usize::from(rest.get(length) == Some(&b';')), bytes))
}

/// `\u0041`, `\u{41}`, `\U00000041`, `\x41`, `\101`, `\n`, `\/`.
fn backslash(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [b'\\', kind, body @ ..] = rest else { return None };
    match (kind, body) {
        (b'u' | b'x', [b'{', digits @ ..]) => {
            let (code, length) = number(digits, 16, 8)?;
            (digits.get(length) == Some(&b'}')).then_some(())?;
            Some((length + 4, utf8(code)?))
        }
        (b'u', digits) => fixed(digits, 16, 4),
        (b'U', digits) => fixed(digits, 16, 8),
        (b'x', digits) => fixed(digits, 16, 2),
        (b'0'..=b'7', _) => number(&rest[1..], 8, 3).and_then(|(code, length)| Some((length + 1, utf8(code)?))),
        (b'n' | b'r' | b't' | b'b' | b'f', _) => Some((2, Vec::new())),
        (other, _) => Some((2, vec![*other])),
    }
}

fn fixed(digits: &[u8], base: u32, length: usize) -> Option<(usize, Vec<u8>)> {
    let (code, found) = number(digits, base, length)?;
    (found == length).then_some(())?;
    Some((length + 2, utf8(code)?))
}

/// Pairs of hexadecimal digits, also with `0x`, `\x`, colons, blanks or the like between them.
fn hexadecimal(text: &[u8]) -> Vec<Vec<u8>> {
    let plain = unescaped(text, |rest| match rest {
        [b'0', b'x' | b'X', ..] => Some((2, Vec::new())),
        [byte, ..] if is_filler(*byte) || matches!(byte, b':' | b'-' | b';' | b'[' | b']') => Some((1, Vec::new())),
        _ => None,
    });
    let mut found = Vec::new();
    for source in [text, plain.as_slice()] {
        for run in source.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 2 * PRINTABLE_MIN) {
            for start in [0, 1] {
                let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
                let bytes: Option<Vec<u8>> = run[start..].chunks_exact(2).map(byte).collect();
                found.extend(bytes.filter(|bytes| is_text(bytes)));
            }
        }
    }
    found
}

/// Lists of decimal numbers, such as `[67, 65, 78]`.
fn numbers(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let bytes: Vec<u8> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u8>().ok()).collect();
    is_text(&bytes).then_some(bytes)
}

/// Base64 with either alphabet, with or without padding, from wherever a group of four may begin.
fn base64(text: &[u8]) -> Vec<Vec<u8>> {
    let standard: Vec<u8> = text
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => *byte,
        })
        .collect();
    let mut found = Vec::new();
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // A dash or a slash may as well be what stands beside it.
    let of_words = text.split(|byte| !byte.is_ascii_alphanumeric());
    let of_runs = standard.split(|byte| !is_inside(byte));
    for run in of_runs.chain(of_words).filter(|run| run.len() >= BASE64_CHARS_MIN) {
        for start in 0..4 {
            let whole = &run[start..];
            // A single character at the end holds no byte.
            let length = whole.len() - usize::from(whole.len() % 4 == 1);
            found.extend(LENIENT.decode(&whole[..length]).ok().filter(|bytes| is_text(bytes)));
        }
    }
    found
}

/// Says whether there is anything but noise in it.
fn is_text(bytes: &[u8]) -> bool {
    let mut row = 0;
    bytes.iter().any(|byte| {
        row = if byte.is_ascii_graphic() || *byte == b' ' { row + 1 } else { 0 };
        row >= PRINTABLE_MIN
    })
}
