use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::limits::ERROR_EXCERPT_CHARS;

const USER: &str = "sa.canary";
const SECRET: &str = "CANARY-Zq7/never+show&this";

fn redactor() -> Redactor {
    Redactor::new([(USER, SECRET), ("someone", "PROXY-pw:8h2%x")])
}

type Coding = (&'static str, fn(&str) -> String);

fn each(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn of_symbols(text: &str, write: impl Fn(u8) -> String) -> String {
    each(text, |byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { write(byte) })
}

fn split(text: &str, every: usize, between: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(every).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(between)
}

/// Codings that a server may apply to what it was sent.
const CODINGS: [Coding; 26] = [
    ("as it is", |text| text.to_owned()),
    ("percent", |text| of_symbols(text, |byte| format!("%{byte:02X}"))),
    ("percent, lower case", |text| of_symbols(text, |byte| format!("%{byte:02x}"))),
    ("percent, all", |text| each(text, |byte| format!("%{byte:02X}"))),
    ("percent u", |text| each(text, |byte| format!("%u{byte:04x}"))),
    ("html, decimal", |text| of_symbols(text, |byte| format!("&#{byte};"))),
    ("html, hexadecimal, all", |text| each(text, |byte| format!("&#x{byte:X};"))),
    ("html, named", |text| {
        text.replace('&', "&amp;").replace('/', "&sol;").replace('+', "&plus;").replace('=', "&equals;")
    }),
    ("u", |text| each(text, |byte| format!("\\u{byte:04x}"))),
    ("u of symbols", |text| of_symbols(text, |byte| format!("\\u{byte:04X}"))),
    ("u in braces", |text| each(text, |byte| format!("\\u{{{byte:x}}}"))),
    ("x", |text| each(text, |byte| format!("\\x{byte:02x}"))),
    ("octal", |text| each(text, |byte| format!("\\{byte:03o}"))),
    ("slashes", |text| text.replace('/', "\\/")),
    ("json", |text| serde_json::Value::from(text).to_string()),
    ("base64", |text| STANDARD.encode(text)),
    ("base64 without padding", |text| STANDARD_NO_PAD.encode(text)),
    ("base64url", |text| URL_SAFE.encode(text)),
    ("base64url without padding", |text| URL_SAFE_NO_PAD.encode(text)),
    ("base64 of more", |text| STANDARD.encode(format!("a{text}bc"))),
    ("hexadecimal", |text| each(text, |byte| format!("{byte:02x}"))),
    ("hexadecimal with colons", |text| each(text, |byte| format!("{byte:02X}:"))),
    ("numbers", |text| each(text, |byte| format!("{byte}, "))),
    ("split by blanks", |text| split(text, 7, " ")),
    ("split by lines", |text| split(text, 10, "\r\n")),
    ("quoted-printable", |text| of_symbols(text, |byte| format!("={byte:02X}"))),
];

/// What is echoed: the secret, the pair, or the header.
fn echoes() -> [String; 3] {
    let pair = format!("{USER}:{SECRET}");
    [SECRET.to_owned(), format!("Basic {}", STANDARD.encode(&pair)), pair]
}

#[test]
fn no_coding_carries_a_secret_through() {
    for echo in echoes() {
        for (outer_name, outer) in CODINGS {
            for (inner_name, inner) in CODINGS {
                let encoded = outer(&inner(&echo));
                let shown = redactor().quote(&format!("no such account: {encoded}"));
                // All of it may be too long to be shown; what is shown must not begin it.
                let start: String = encoded.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(40).collect();
                assert!(!shown.contains(&start), "{outer_name} of {inner_name}: {shown}");
            }
        }
    }
}

#[test]
fn cases_and_parts_are_secret_as_well() {
    let basic = STANDARD.encode(format!("{USER}:{SECRET}"));
    for text in [
        SECRET.to_lowercase(),
        SECRET.to_uppercase(),
        basic.to_lowercase(),
        SECRET[..12].to_owned(),
        SECRET[10..].to_owned(),
        basic[..30].to_owned(),
        format!("{}!", "x".repeat(ERROR_EXCERPT_CHARS - 12)) + SECRET,
        SECRET.replace('-', "\u{200b}-"),
        split(SECRET, 1, "-"),
        split(SECRET, 4, "\" + \""),
        "PROXY-pw%3A8h2%25x".to_owned(),
        STANDARD_NO_PAD.encode("someone:PROXY-pw:8h2%x"),
    ] {
        let shown = redactor().quote(&format!("refused: {text}"));
        assert!(!shown.contains(&text) && shown.contains('*') | shown.contains("not shown"), "{text}: {shown}");
    }
}

#[test]
fn ordinary_texts_are_shown_as_they_are() {
    for text in [
        "Unable to authenticate request",
        "invalid project id for cluster.",
        "Query rate limit exceeded for project_id: 12345. 1/5 queries running concurrently and 61/60 queries running in the last hour. For more information, see https://help.mixpanel.com/hc/en-us/articles/115004602563-Rate-Limits",
        "a web page titled `Sign in to Corporate-Network_Portal`",
        "unknown property $email in properties[\"$email\"] == \"a@example.org\" and 100% of it",
        "request id 7f9c2ba4e88f827d616045507605853e (c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2)",
        "session 1790012345-QZKRWT expired; trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "user sa.canary has no access",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "expected value at line 1 column 2",
        "Größe überschritten: 価格",
    ] {
        let shown = redactor().quote(text);
        assert!(shown == text || shown == excerpt(text), "{text}: {shown}");
    }
}

#[test]
fn short_and_odd_secrets_are_hidden_too() {
    for secret in ["a1!", "päß", "********", "   x   ", "pw", "0"] {
        let redactor = Redactor::new([("u", secret)]);
        for text in [secret.to_owned(), STANDARD.encode(format!("u:{secret}")), decode::percent_encoded(secret)] {
            let shown = redactor.quote(&format!("<{text}>"));
            assert!(secret == "********" || !shown.contains(&format!("<{text}>")), "{secret}: {shown}");
        }
    }
    assert_eq!(Redactor::new([("u", "")]).quote("text"), "text");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever codings are put around it, in whatever text.
    #[test]
    fn no_nesting_of_codings_carries_a_secret_through(
        secret in "[A-Za-z0-9]{12,32}|[A-Za-z0-9+/=&%_.-]{16,32}",
        before in "[ a-z]{0,12}",
        picks in prop::collection::vec(0..CODINGS.len(), 1..4),
        echo in 0..3_usize,
    ) {
        prop_assume!(secret.bytes().filter(u8::is_ascii_alphanumeric).count() >= 10);
        let redactor = Redactor::new([(USER, secret.as_str())]);
        let pair = format!("{USER}:{secret}");
        let echo = [secret, STANDARD.encode(&pair), pair][echo].clone();
        let encoded = picks.iter().fold(echo, |text, pick| CODINGS[*pick].1(&text));
        let shown = redactor.quote(&format!("{before}: {encoded}"));
        let names: String = picks.iter().fold(String::new(), |mut names, pick| {
            write!(names, "{} ", CODINGS[*pick].0).unwrap();
            names
        });
        // Where only the beginning is shown, it may not be enough to give anything away.
        if encoded.len() + before.len() + 2 <= ERROR_EXCERPT_CHARS {
            let flat = encoded.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert!(!shown.contains(&flat), "{names}: {shown}");
        }
    }
}
