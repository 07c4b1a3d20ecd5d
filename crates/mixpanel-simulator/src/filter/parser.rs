//! Parses an expression into a tree. `not` binds tighter than `and`, and `and` tighter than `or`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::lexer::{Placed, Token, tokens};
use crate::profiles::push_time;

/// The maximum nesting of parentheses and `not`: far more than anyone writes, far less than the stack allows.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// A list instead of a pair, so that long chains do not nest deeply.
    AnyOf(Vec<Self>),
    AllOf(Vec<Self>),
    Not(Box<Self>),
    Compare(Comparison, Operand, Operand),
    In(Operand, Operand),
    /// The property with this index has a value other than null.
    Defined(usize),
    /// The operand is `true`.
    Holds(Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    /// A property, by its index in the filter's list of names.
    Property(usize),
    /// How often the user performed the named behavior.
    Behavior(String),
}

pub(super) fn parse(text: &str, behaviors: &BTreeSet<String>) -> Result<(Expression, Vec<String>), String> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, properties: Vec::new(), behaviors };
    let expression = parser.any_of()?;
    match parser.peek() {
        Token::End => Ok((expression, parser.properties)),
        _ => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

struct Parser<'a> {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    properties: Vec<String>,
    behaviors: &'a BTreeSet<String>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn unexpected(&self, expected: &str) -> String {
        let Placed { token, at } = &self.tokens[self.next];
        format!("unexpected {token} at character {at}, expected {expected}")
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.next].token.clone();
        // Never advance past the last token, which is `End`.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(other) if other.eq_ignore_ascii_case(word));
        if found {
            self.advance();
        }
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(other) if *other == sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn any_of(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all_of()?];
        while self.take_word("or") {
            parts.push(self.all_of()?);
        }
        Ok(Expression::AnyOf(parts))
    }

    fn all_of(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.single()?];
        while self.take_word("and") {
            parts.push(self.single()?);
        }
        Ok(Expression::AllOf(parts))
    }

    fn single(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let expression = if self.take_word("not") {
            Ok(Expression::Not(Box::new(self.single()?)))
        } else if self.take_sign("(") {
            let inner = self.any_of()?;
            self.expect_sign(")")?;
            Ok(inner)
        } else if self.take_word("defined") {
            self.expect_sign("(")?;
            let Operand::Property(name) = self.operand()? else {
                return Err("defined() takes properties[\"...\"]".to_owned());
            };
            self.expect_sign(")")?;
            Ok(Expression::Defined(name))
        } else {
            self.comparison()
        };
        self.depth -= 1;
        expression
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.operand()?;
        if self.take_word("in") {
            return Ok(Expression::In(left, self.operand()?));
        }
        if self.take_word("not") {
            if !self.take_word("in") {
                return Err(self.unexpected("`in`"));
            }
            return Ok(Expression::Not(Box::new(Expression::In(left, self.operand()?))));
        }
        let comparison = match self.peek() {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            _ => return Ok(Expression::Holds(left)),
        };
        self.advance();
        Ok(Expression::Compare(comparison, left, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        const EXPECTED: &str =
            "properties[\"...\"], a string, a number, true, false, null, a list or datetime(\"...\")";
        match self.peek().clone() {
            Token::Word(word) => match word.as_str() {
                "properties" | "user" => {
                    self.advance();
                    let name = self.bracketed_name()?;
                    let known = self.properties.iter().position(|other| *other == name);
                    Ok(Operand::Property(known.unwrap_or_else(|| {
                        self.properties.push(name);
                        self.properties.len() - 1
                    })))
                }
                "behaviors" => {
                    self.advance();
                    let name = self.bracketed_name()?;
                    if !self.behaviors.contains(&name) {
                        return Err(format!("behaviors[{name:?}] is not among the behaviors of this request"));
                    }
                    Ok(Operand::Behavior(name))
                }
                _ => self.literal(EXPECTED).map(Operand::Literal),
            },
            _ => self.literal(EXPECTED).map(Operand::Literal),
        }
    }

    fn bracketed_name(&mut self) -> Result<String, String> {
        self.expect_sign("[")?;
        if !matches!(self.peek(), Token::Text(_)) {
            return Err(self.unexpected("a name in quotes"));
        }
        let Token::Text(name) = self.advance() else { return Err(self.unexpected("a name in quotes")) };
        self.expect_sign("]")?;
        Ok(name)
    }

    fn literal(&mut self, expected: &str) -> Result<Value, String> {
        let value = match self.peek() {
            Token::Text(text) => Value::String(text.clone()),
            Token::Number(text) => match serde_json::from_str(text) {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(self.unexpected("a number")),
            },
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                "datetime" => return self.datetime(),
                _ => return Err(self.unexpected(expected)),
            },
            Token::Sign("[") => return self.list(),
            _ => return Err(self.unexpected(expected)),
        };
        self.advance();
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, String> {
        self.expect_sign("[")?;
        let mut values = Vec::new();
        if self.take_sign("]") {
            return Ok(Value::Array(values));
        }
        loop {
            if matches!(self.peek(), Token::Sign("[")) {
                return Err(self.unexpected("a string, a number, true, false or null"));
            }
            values.push(self.literal("a string, a number, true, false or null")?);
            if !self.take_sign(",") {
                self.expect_sign("]")?;
                return Ok(Value::Array(values));
            }
        }
    }

    /// Parses `datetime(...)`. Times are compared as strings, like `$last_seen` itself
    /// (`docs/mixpanel-api.md#engage-request`), so seconds since the epoch are formatted the same way.
    fn datetime(&mut self) -> Result<Value, String> {
        self.advance();
        self.expect_sign("(")?;
        let value = match self.literal("a time in quotes or seconds since the epoch")? {
            Value::String(text) => Value::String(text),
            Value::Number(number) => {
                let seconds = number.as_u64().ok_or("datetime() takes whole seconds since the epoch")?;
                let mut text = Vec::new();
                push_time(&mut text, seconds);
                Value::String(String::from_utf8_lossy(&text).into_owned())
            }
            _ => return Err("datetime() takes a time in quotes or seconds since the epoch".to_owned()),
        };
        self.expect_sign(")")?;
        Ok(value)
    }
}
