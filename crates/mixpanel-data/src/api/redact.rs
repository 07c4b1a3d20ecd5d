//! Keeps secrets out of messages: a text of a server is shown only if no decoding of it gives a secret away.
//!
//! A server, a proxy or a page in between may send back what it was sent, in whatever coding it likes. So a text is decoded
//! again and again, in all the usual ways, and each result is compared with what is secret. In doubt the text is not shown.

use std::collections::{HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::excerpt;

mod decode;

/// What stands for a secret.
const HIDDEN: &str = "********";
/// What stands for a text that holds a secret in some coding.
const WITHHELD: &str = "(its text is not shown, because it may hold the credentials)";
/// How often codings may be nested.
const DEPTH_MAX: u32 = 6;
/// Results of decoding that are looked at; a text that has more is not shown.
const RESULTS_MAX: usize = 2_000;
/// Characters of a text that are decoded.
const JUDGED_CHARS: usize = 4096;
/// As much of a secret, in characters, gives it away; a shorter one counts as a whole.
const PART_CHARS: usize = 8;
/// As much of an encoded pair of credentials, in a case that cannot be decoded any more, gives it away.
const ENCODED_PART_CHARS: usize = 16;

/// Knows what is secret.
#[derive(Clone)]
pub(super) struct Redactor {
    /// Replaced where they stand as they are, the longest first.
    literal: Vec<String>,
    /// Letters and digits of secrets in lower case, each with the length of a part that gives it away.
    needles: Vec<(Vec<u8>, usize)>,
    /// Secrets with too few letters and digits for that.
    odd: Vec<Vec<u8>>,
}

impl Redactor {
    /// Takes pairs of a user name and a secret, as HTTP Basic sends them.
    pub(super) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut redactor = Self { literal: Vec::new(), needles: Vec::new(), odd: Vec::new() };
        for (user, secret) in pairs.into_iter().filter(|(_, secret)| !secret.is_empty()) {
            let pair = STANDARD.encode(format!("{user}:{secret}"));
            redactor.add(secret, PART_CHARS);
            redactor.add(&pair, ENCODED_PART_CHARS);
            redactor.literal.push(decode::percent_encoded(secret));
        }
        redactor.literal.sort_by_key(|form| std::cmp::Reverse(form.len()));
        redactor.literal.dedup();
        redactor
    }

    fn add(&mut self, secret: &str, part: usize) {
        self.literal.push(secret.to_owned());
        let letters = decode::letters(secret.as_bytes());
        if letters.len() * 2 >= secret.len() && !letters.is_empty() {
            self.needles.push((letters, part));
        }
        self.odd.push(secret.as_bytes().to_ascii_lowercase());
    }

    /// Makes a text of a server fit for a message: without what is secret, on one line, and short.
    pub(super) fn quote(&self, said: &str) -> String {
        let masked = self.literal.iter().fold(said.to_owned(), |said, form| said.replace(form.as_str(), HIDDEN));
        // Judged is what is shown, and what follows it: of a secret that is cut off, the beginning is secret as well.
        let shown = excerpt(&masked);
        let judged: String = masked.chars().take(JUDGED_CHARS).collect();
        if self.gives_away(shown.as_bytes()) || self.gives_away(judged.as_bytes()) {
            WITHHELD.to_owned()
        } else {
            shown
        }
    }

    /// Says whether a secret comes out when the text is decoded.
    fn gives_away(&self, text: &[u8]) -> bool {
        let mut seen = HashSet::from([text.to_vec()]);
        let mut open = VecDeque::from([(text.to_vec(), 0)]);
        while let Some((text, depth)) = open.pop_front() {
            if self.is_in(&text) {
                return true;
            }
            if depth == DEPTH_MAX {
                continue;
            }
            for decoded in decode::all(&text) {
                if seen.len() >= RESULTS_MAX {
                    return true;
                }
                if seen.insert(decoded.clone()) {
                    open.push_back((decoded, depth + 1));
                }
            }
        }
        false
    }

    /// Compares without regard to case, and to what stands between letters and digits.
    fn is_in(&self, text: &[u8]) -> bool {
        let letters = decode::letters(text);
        let lower = text.to_ascii_lowercase();
        let has = |text: &[u8], part: &[u8]| memchr::memmem::find(text, part).is_some();
        self.odd.iter().any(|secret| has(&lower, secret))
            || self.needles.iter().any(|(needle, part)| {
                if needle.len() <= *part {
                    has(&letters, needle)
                } else {
                    needle.windows(*part).any(|part| has(&letters, part))
                }
            })
    }
}

#[cfg(test)]
#[path = "redact_test.rs"]
mod tests;
