//! Splits an expression into tokens.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(String),
    /// One of `== != < <= > >= ( ) [ ] ,`.
    Sign(&'static str),
    End,
}

/// A token and its position, counted in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Number(word) => write!(formatter, "`{word}`"),
            Self::Text(text) => write!(formatter, "the string {text:?}"),
            Self::Sign(sign) => write!(formatter, "`{sign}`"),
            Self::End => formatter.write_str("the end"),
        }
    }
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, String> {
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 1);
    loop {
        let trimmed = rest.trim_start();
        at += rest[..rest.len() - trimmed.len()].chars().count();
        rest = trimmed;
        let Some(first) = rest.chars().next() else { break };
        let (token, length) = if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else if first == '"' || first == '\'' {
            text_literal(rest, first).ok_or_else(|| format!("the string at character {at} is not closed"))?
        } else if first.is_ascii_digit() || first == '-' || first == '.' {
            let in_number = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
            let length = rest.chars().take_while(in_number).count();
            (Token::Number(rest[..length].to_owned()), length)
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            let in_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$');
            let length = rest.chars().take_while(in_word).map(char::len_utf8).sum();
            (Token::Word(rest[..length].to_owned()), length)
        } else {
            return Err(format!("unexpected `{first}` at character {at}"));
        };
        tokens.push(Placed { token, at });
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    tokens.push(Placed { token: Token::End, at });
    Ok(tokens)
}

/// Reads a string up to its closing quote. A backslash escapes the next character; only `\n` and `\t` are special.
fn text_literal(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => text.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            end if end == quote => return Some((Token::Text(text), at + end.len_utf8())),
            other => text.push(other),
        }
    }
    None
}
