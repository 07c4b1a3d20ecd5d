//! Prompts for input on a terminal.

use std::io::{self, IsTerminal as _, Read as _};

use mixpanel_data::Secret;

use crate::credential_text::{CREDENTIAL_BYTES_MAX, credential_text, secret_from};
use crate::failure::Failure;
use crate::hidden;
use crate::output::Output;
use crate::streams::Stdin;
use crate::text::printable;

/// Maximum size of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Prompts until `check` accepts the answer. An empty answer means `default`, if there is one.
pub(crate) fn text<T>(
    output: &Output,
    question: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let shown = default.map_or_else(String::new, |default| format!(" [{}]", printable(default)));
    loop {
        let answer = hidden::while_prompting(output, || {
            output.words(&format!("{question}{shown}: "));
            read_line()
        })??;
        let Some(answer) = answer else { return Err(no_answer(output, question)) };
        let answer = if answer.is_empty() { default.unwrap_or_default() } else { &answer };
        match check(answer) {
            Ok(value) => return Ok(value),
            Err(reason) => output.words(&format!("  {}\n", printable(&reason))),
        }
    }
}

fn no_answer(output: &Output, question: &str) -> Failure {
    output.words("\n");
    Failure::new(format!("the prompt `{question}` was closed without an answer"))
}

/// Prompts for yes or no; an empty answer means no.
pub(crate) fn confirm(output: &Output, question: &str) -> Result<Answer, Failure> {
    output.words(&format!("{} [y/N] ", printable(question)));
    let answer = read_line()?.unwrap_or_default().to_ascii_lowercase();
    if !io::stdin().is_terminal() {
        output.words("\n");
    }
    Ok(if matches!(answer.as_str(), "y" | "yes") { Answer::Yes } else { Answer::No })
}

/// The answer to a yes-or-no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

/// Prompts for the secret without echo, until it is valid. If it may be `kept`, an empty answer is `None`. `hint` names
/// other ways to give the secret.
pub(crate) fn secret(output: &Output, kept: Kept, hint: &str) -> Result<Option<Secret>, Failure> {
    let question = if kept == Kept::Yes { "Secret [unchanged]: " } else { "Secret: " };
    let failed = |error: &io::Error| Failure::new("cannot prompt for the secret").caused_by(error).hint(hint);
    loop {
        let answer = hidden::read(output, question)?.map_err(|error| failed(&error))?;
        let answer = answer.ok_or_else(|| failed(&io::Error::other("the input ended without an answer")))?;
        if kept == Kept::Yes && answer.is_empty() {
            return Ok(None);
        }
        let text = if hidden::may_be_cut(&answer) { Err("is too long") } else { credential_text(&answer) };
        match text {
            Ok(text) => return Ok(Some(Secret::new(text))),
            Err(reason) => output.words(&format!("  the secret {reason}\n")),
        }
    }
}

/// Whether an empty answer keeps the present secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    No,
}

/// Reads the secret from a pipe or a file.
pub(crate) fn secret_from_stdin() -> Result<Secret, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage("`--secret-stdin` needs a pipe or a file")
            .hint("omit the option to be prompted for the secret without echo"));
    }
    let failed = |error: io::Error| Failure::io("cannot read the secret from standard input", &error);
    let mut bytes = Vec::new();
    Stdin.take(CREDENTIAL_BYTES_MAX as u64 + 16).read_to_end(&mut bytes).map_err(failed)?;
    secret_from("standard input", &bytes)
}

/// Reads one line, byte by byte: the rest of the input belongs to the next prompt.
fn read_line() -> Result<Option<String>, Failure> {
    let failed = |error: io::Error| Failure::io("cannot read the answer", &error);
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < ANSWER_BYTES_MAX && Stdin.read(&mut byte).map_err(failed)? > 0 {
        line.push(byte[0]);
        if byte == *b"\n" {
            break;
        }
    }
    let text = String::from_utf8(line).map_err(|error| failed(io::Error::other(error)))?;
    Ok((!text.is_empty()).then(|| text.trim().to_owned()))
}
