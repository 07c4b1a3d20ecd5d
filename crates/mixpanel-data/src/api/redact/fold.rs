//! Normalizes text so that texts that look or read alike compare equal.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Letters of other alphabets that look like ASCII letters, and Latin letters that do not decompose.
const LOOKALIKES: [(&str, &str); 3] =
    [("аеорсухіјѕԁһԛԝкмтвнг", "aeopcyxijsdhqwkmtbhr"), ("αονρτυικχεβη", "aovptuikxebn"), ("øłđıŧħ", "oldith")];

/// A text normalized for comparison.
pub(super) struct Folded {
    /// Without whitespace and invisible characters, in lower case.
    pub(super) compact: Vec<char>,
    /// Only the letters and digits of `compact`.
    pub(super) letters: Vec<char>,
}

/// Normalizes a text.
pub(super) fn folded(text: &[u8]) -> Folded {
    let compact: Vec<char> = if text.is_ascii() {
        text.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(byte.to_ascii_lowercase())).collect()
    } else {
        let text = String::from_utf8_lossy(text);
        let seen: String = text.chars().filter(|c| !is_invisible(*c)).map(plain_letter).collect();
        let text = DecomposingNormalizerBorrowed::new_nfkd().normalize(&seen);
        text.chars().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).map(lookalike).collect()
    };
    let letters = compact.iter().copied().filter(|c| c.is_alphanumeric()).collect();
    Folded { compact, letters }
}

/// Returns whether a character is whitespace, has no width, or combines with another one.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'
                | '\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
        )
        || is_mark(c)
}

/// Returns whether a character combines with the one before it.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Maps letter variants to plain letters if Unicode normalization does not: tags, regional indicators, and letters in
/// black circles and squares.
fn plain_letter(c: char) -> char {
    let code = u32::from(c);
    let nth = |first: u32| char::from_u32(u32::from('a') + code - first).unwrap_or(c);
    match code {
        0xe0020..=0xe007e => char::from_u32(code - 0xe0000).unwrap_or(c),
        0x1f1e6..=0x1f1ff => nth(0x1f1e6),
        0x1f150..=0x1f169 => nth(0x1f150),
        0x1f170..=0x1f189 => nth(0x1f170),
        _ => c,
    }
}

fn lookalike(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let find = |(from, to): &(&str, &str)| from.chars().position(|other| other == c).and_then(|at| to.chars().nth(at));
    LOOKALIKES.iter().find_map(find).unwrap_or(c)
}
