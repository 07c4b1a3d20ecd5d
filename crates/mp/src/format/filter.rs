//! The filter of `--jq`, in the language of jq, as implemented by jaq.

use std::fmt;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read, write};

use crate::failure::Failure;

/// A compiled filter. Numbers that it does not compute with keep all their digits.
pub(super) struct Filter {
    filter: jaq_core::Filter<data::JustLut<Val>>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

/// Functions of jq that jaq does not define.
const PRELUDE: &str = include_str!("prelude.jq");

/// Functions that would read the environment, which may hold the secret, or end the process.
const EXCLUDED: [&str; 3] = ["env", "halt", "halt_error"];

impl Filter {
    /// Compiles an expression.
    pub(super) fn compile(expression: &str) -> Result<Self, Failure> {
        let prelude = jaq_core::load::parse(PRELUDE, |parser| parser.defs()).unwrap_or_default();
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(prelude);
        let definitions = definitions.filter(|definition| !EXCLUDED.contains(&definition.name));
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: expression, path: () })
            .map_err(|errors| wrong(expression, &load_reason(errors)))?;
        let filter = Compiler::default()
            .with_funs(functions.filter(|(name, ..)| !EXCLUDED.contains(name)))
            .compile(modules)
            .map_err(|errors| wrong(expression, &compile_reason(errors)))?;
        Ok(Self { filter })
    }

    /// Applies the filter to each JSON value in a text, and passes each result on, as one line: strings without
    /// quotes, as `gh` does, and everything else as JSON.
    pub(super) fn apply(&self, text: &str, mut line: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        for value in read::parse_many(text.as_bytes()) {
            let value = value.map_err(|error| failed(&error.to_string()))?;
            let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
            for result in self.filter.id.run((context, value)).map(unwrap_valr) {
                line(&shown(&result.map_err(|error| failed(&error.to_string()))?)?)?;
            }
        }
        Ok(())
    }
}

/// Checks an expression before the command does anything.
pub(crate) fn check_filter(expression: &str) -> Result<(), Failure> {
    Filter::compile(expression).map(drop)
}

fn shown(value: &Val) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match value {
        Val::TStr(text) => bytes.extend_from_slice(text),
        other => {
            write::write(&mut bytes, &write::Pp::default(), 0, other).map_err(|error| failed(&error.to_string()))?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn wrong(expression: &str, reason: &str) -> Failure {
    Failure::usage(format!("`--jq {expression}` is not a valid filter: {reason}"))
        .hint("filters are those of jq, such as `.[].name` or `map(select(.rows > 10))`; see https://jqlang.org/manual")
}

fn failed(reason: &str) -> Failure {
    Failure::new("the filter of `--jq` failed").caused_by(&std::io::Error::other(reason.to_owned()))
}

fn load_reason(errors: jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let first = errors.into_iter().next().map(|(_, error)| match error {
        Error::Io(_) => "modules cannot be loaded".to_owned(),
        Error::Lex(errors) => first(errors.iter().map(|(expected, found)| (expected.as_str(), *found))),
        Error::Parse(errors) => first(errors.iter().map(|(expected, found)| (expected.as_str(), *found))),
    });
    first.unwrap_or_default()
}

fn first<'a>(mut errors: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let Some((expected, found)) = errors.next() else { return "syntax error".to_owned() };
    match found.chars().next() {
        None => format!("expected {expected} at its end"),
        Some(_) => format!("expected {expected} at `{}`", found.chars().take(20).collect::<String>()),
    }
}

fn compile_reason(errors: jaq_core::compile::Errors<&str, ()>) -> String {
    let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
    first.map_or_else(String::new, |(name, undefined)| format!("undefined {} `{name}`", undefined.as_str()))
}
