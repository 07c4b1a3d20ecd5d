//! Decodes escapes of single characters. The rest of a text is left unchanged.

/// HTML entity names of characters that occur in secrets and their encodings or may separate their characters.
const ENTITIES: [(&str, &str); 40] = [
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
    ("zwj", ""),
    ("zwnj", ""),
    ("shy", ""),
    ("szlig", "ß"),
];

/// Suffixes of HTML entity names of letters: diacritics and font variants, both of which are ignored.
const LETTER_ENDS: [&str; 17] = [
    "acute", "grave", "circ", "uml", "tilde", "ring", "cedil", "slash", "caron", "breve", "macr", "dot", "ogon",
    "dblac", "scr", "opf", "fr",
];

/// Reads an escape at the beginning of a text; returns its length and the bytes that it encodes.
type Read = fn(&[u8]) -> Option<(usize, Vec<u8>)>;

/// Returns the text with one kind of escape decoded, for each kind that it may contain.
pub(super) fn all(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut undo = |mark: &[u8], read: Read| {
        if text.iter().any(|byte| mark.contains(byte)) {
            found.push(unescaped(text, read));
        }
    };
    undo(b"%", percent);
    undo(b"&", html);
    undo(b"\\", backslash);
    undo(b"=", quoted_printable);
    undo(b"<", tag);
    found
}

/// Decodes every escape that `read` recognizes.
fn unescaped(text: &[u8], read: Read) -> Vec<u8> {
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

/// Reads a number in the given base at the beginning of a text; returns the number and its length.
fn number(text: &[u8], base: u32, length_max: usize) -> Option<(u32, usize)> {
    let digits = text.iter().take(length_max).take_while(|byte| char::from(**byte).is_digit(base)).count();
    let text = std::str::from_utf8(&text[..digits]).ok().filter(|text| !text.is_empty())?;
    Some((u32::from_str_radix(text, base).ok()?, digits))
}

/// Encodes a code point as UTF-8. A code below 256 may also be a single byte, but for ASCII both are the same.
fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|c| c.to_string().into_bytes())
}

/// Decodes `%41` and `%u0041`.
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

/// Decodes `=41` and a soft line break.
fn quoted_printable(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    match rest {
        [b'=', b'\r', b'\n', ..] => Some((3, Vec::new())),
        [b'=', b'\n' | b' ', ..] => Some((2, Vec::new())),
        [b'=', high, low, ..] => Some((3, vec![u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?])),
        _ => None,
    }
}

/// Decodes `&amp;`, `&#65;` and `&#x41;`, with or without the semicolon.
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
            let (length, bytes) = named(body)?;
            (length + 1, bytes)
        }
    };
    Some((length + usize::from(rest.get(length) == Some(&b';')), bytes))
}

/// Decodes `\u0041`, `\u{41}`, `\U00000041`, `\x41`, `\101`, `\n` and `\/`.
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

/// Decodes an HTML entity name, and drops the diacritic of a letter.
fn named(body: &[u8]) -> Option<(usize, Vec<u8>)> {
    let is_next = |at: usize, name: &str| {
        body.get(at..at + name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    if let Some((name, character)) = ENTITIES.iter().find(|(name, _)| is_next(0, name)) {
        return Some((name.len(), character.as_bytes().to_vec()));
    }
    if let Some(name) = ["aelig", "oelig"].iter().find(|name| is_next(0, name)) {
        return Some((name.len(), name.as_bytes()[..2].to_vec()));
    }
    let letter = body.first().filter(|letter| letter.is_ascii_alphabetic())?;
    let end = LETTER_ENDS.iter().find(|end| is_next(1, end))?;
    Some((end.len() + 1, vec![*letter]))
}

/// Removes an HTML tag or comment, which may separate any two characters of a secret.
fn tag(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [b'<', body @ ..] = rest else { return None };
    if let Some(comment) = body.strip_prefix(b"!--") {
        let end = comment.windows(3).position(|end| end == b"-->")?;
        return Some((end + 7, Vec::new()));
    }
    body.first().filter(|first| first.is_ascii_alphabetic() || matches!(first, b'/' | b'!' | b'?'))?;
    let end = body.iter().position(|byte| matches!(byte, b'>' | b'<')).filter(|end| body[*end] == b'>')?;
    Some((end + 2, Vec::new()))
}
