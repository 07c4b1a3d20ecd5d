//! The key for hashing properties, and the hash function: HMAC-SHA-256.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::credentials::Secret;
use crate::error::{Error, Result};
use crate::limits::HASH_KEY_BYTES_MIN;

/// What is hashed to recognize a key.
const CHECKED_TEXT: &str = "mp key check";

/// The number of hex digits of a check value.
const CHECK_DIGITS: usize = 8;

/// The key with which [`ProfileFetch::hash_properties`](crate::ProfileFetch::hash_properties) hashes values. It cannot
/// be formatted, compared or serialised.
///
/// The same key gives the same hashes, in every table and project. Anyone who has it can test guesses of a value, so keep it
/// as you would keep the values.
///
/// ```
/// use mixpanel_data::{HashKey, Secret};
///
/// let key = HashKey::new(Secret::new("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))?;
/// assert_eq!(key.hash("alice@example.com").len(), 64);
/// # Ok::<(), mixpanel_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HashKey(Secret);

impl HashKey {
    /// Creates a key from a text of at least [`HASH_KEY_BYTES_MIN`](crate::limits::HASH_KEY_BYTES_MIN) bytes. Its UTF-8
    /// bytes are the key; hex digits are not decoded.
    ///
    /// # Errors
    /// `InvalidInput` if the text is shorter.
    pub fn new(text: Secret) -> Result<Self> {
        if text.expose().len() < HASH_KEY_BYTES_MIN {
            return Err(Error::invalid(format!("the hash key is shorter than {HASH_KEY_BYTES_MIN} bytes")));
        }
        Ok(Self(text))
    }

    /// Returns what is stored instead of this text: 64 lower-case hex digits.
    #[must_use]
    pub fn hash(&self, text: &str) -> String {
        let mut digits = String::new();
        self.hasher().push_hash(text, &mut digits);
        digits
    }

    /// Returns the check value, which is recorded to recognize the key.
    pub(crate) fn check_value(&self) -> String {
        let mut digits = self.hash(CHECKED_TEXT);
        digits.truncate(CHECK_DIGITS);
        digits
    }

    /// Prepares for hashing many values.
    pub(crate) fn hasher(&self) -> ValueHasher {
        let keyed = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes());
        ValueHasher(keyed.expect("HMAC takes keys of any length"))
    }
}

/// Hashes values with a key.
#[derive(Clone)]
pub(crate) struct ValueHasher(Hmac<Sha256>);

impl ValueHasher {
    /// Appends the hash of a text to `digits`.
    pub(crate) fn push_hash(&self, text: &str, digits: &mut String) {
        const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let mut hash = self.0.clone();
        hash.update(text.as_bytes());
        for byte in hash.finalize().into_bytes() {
            digits.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers were computed with Python's `hmac`. The keys of RFC 4231 are not text.
    #[test]
    fn hashes_are_hmac_sha_256() {
        for (key, text, expected) in KNOWN {
            let key = HashKey::new(Secret::new(key)).unwrap();
            assert_eq!(key.hash(text), expected, "{text}");
        }
    }

    const KNOWN: [(&str, &str, &str); 4] = [
        ("0123456789abcdef", "", "496dc93fa2d26eae500ec0bc37a122706b88f8963cebf0899d0245fae313e241"),
        ("0123456789abcdef", "alice@example.com", "f3d6ddc7dbf9be2eb667360a5a9a43434c54e345f522bbb433afeba094d74aa2"),
        (
            "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "Zoë 🚀",
            "cc2daaac995930bec6e318f74dd49cc656865f0d026d048b1696a2d87f67c8e7",
        ),
        (
            "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "70e4b005732fa7ff79392aa24fb240159b925dbc9f1398420c0f45e6763dcf14",
        ),
    ];

    #[test]
    fn a_short_key_is_refused_without_quoting_it() {
        for (key, good) in [("", false), ("0123456789abcde", false), ("0123456789abcdef", true), ("ääääääää", true)]
        {
            let made = HashKey::new(Secret::new(key));
            assert_eq!(made.is_ok(), good, "{key}");
            let text = format!("{made:?}");
            assert!(key.is_empty() || !text.contains(key), "{text}");
        }
    }

    #[test]
    fn a_check_value_has_eight_digits_of_one_hash() {
        let key = HashKey::new(Secret::new("0123456789abcdef")).unwrap();
        assert_eq!(key.check_value(), key.hash("mp key check")[..8]);
    }
}
