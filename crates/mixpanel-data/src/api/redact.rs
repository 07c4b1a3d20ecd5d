//! Keeps secrets out of messages. Server text is shown only if no decoding of it reveals a secret, and only the parts
//! that look like words.
//!
//! A server, a proxy or another intermediary may echo the request in any encoding. So a text is decoded repeatedly, in
//! all common ways, and each result is searched for secrets. Because no list of encodings is complete, everything
//! except words and a few numbers is masked as well. When in doubt, nothing is shown.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::credentials::Secret;
use crate::limits::ERROR_CHARS_MAX;

use super::body::excerpt;
use decode::Decoded;
use needles::Needles;

mod binary;
mod decode;
mod doubt;
mod escapes;
mod fold;
mod needles;
mod words;

/// Replaces a text that contains a secret in some encoding.
const WITHHELD: &str = "(text not shown: it may contain the credentials)";
/// The maximum nesting of encodings.
const DEPTH_MAX: u32 = 6;
/// The maximum total size of all decodings of a text, in bytes. A text that exceeds it is not shown.
const DECODED_BYTES_MAX: usize = 32 << 10;
/// The number of texts whose redacted form is cached: redaction takes milliseconds, and a failing server repeats
/// itself.
const REMEMBERED: usize = 8;

/// Redacts a set of secrets.
#[derive(Clone)]
pub(super) struct Redactor {
    /// Pairs of a user name and a secret.
    pairs: Vec<(String, Secret)>,
    /// The patterns to search for, built on first use.
    needles: Arc<OnceLock<Needles>>,
    /// The newest texts, each with its redacted form.
    quoted: Arc<Mutex<VecDeque<(String, String)>>>,
}

impl Redactor {
    /// Creates a redactor for pairs of a user name and a secret, as sent by HTTP Basic authentication. A name without a
    /// secret is itself secret, because a proxy token is often passed as the user name.
    pub(super) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter().filter(|(user, secret)| !user.is_empty() || !secret.is_empty());
        let pairs = pairs.map(|(user, secret)| (user.to_owned(), Secret::new(secret))).collect();
        Self { pairs, needles: Arc::default(), quoted: Arc::default() }
    }

    /// Formats server text for a message: on one line, truncated, and without anything that may be secret.
    pub(super) fn quote(&self, said: &str) -> String {
        let line = one_line(said, ERROR_CHARS_MAX);
        let known = || self.quoted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, quotation)) = known().iter().find(|(text, _)| *text == line) {
            return quotation.clone();
        }
        let quotation = self.judged(&line);
        let mut known = known();
        known.truncate(REMEMBERED - 1);
        known.push_front((line, quotation.clone()));
        quotation
    }

    /// Returns the redacted form of a single line.
    fn judged(&self, line: &str) -> String {
        if self.reveals_secret(line.as_bytes()) || self.reveals_secret(doubt::odd_words(line).as_bytes()) {
            return WITHHELD.to_owned();
        }
        excerpt(&doubt::masked(line))
    }

    /// Returns whether decoding the text reveals a secret.
    fn reveals_secret(&self, text: &[u8]) -> bool {
        if self.pairs.is_empty() {
            return false;
        }
        let needles = self.needles.get_or_init(|| Needles::new(&self.pairs));
        let mut seen = HashSet::from([text.to_vec()]);
        let mut open = VecDeque::from([(text.to_vec(), 0)]);
        let mut bytes = 0;
        while let Some((text, depth)) = open.pop_front() {
            if needles.occur_in(&text) {
                return true;
            }
            if depth == DEPTH_MAX {
                continue;
            }
            bytes += text.len();
            if bytes > DECODED_BYTES_MAX {
                return true;
            }
            for Decoded { text, is_final } in decode::all(&text, needles.length_min()) {
                if seen.insert(text.clone()) {
                    open.push_back((text, if is_final { DEPTH_MAX } else { depth + 1 }));
                }
            }
        }
        false
    }
}

/// Returns up to `chars_max` characters of the text, with each run of whitespace collapsed to a single space.
fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(chars_max));
    let mut count = 0;
    for c in text.trim_start().chars() {
        let is_blank = c.is_whitespace();
        if is_blank && line.ends_with(' ') {
            continue;
        }
        line.push(if is_blank { ' ' } else { c });
        count += 1;
        if count == chars_max {
            break;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
