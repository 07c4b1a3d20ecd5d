//! Prompts for input on a terminal.

use std::io::{self, IsTerminal as _, Read as _};

use mixpanel_data::Secret;

use crate::credential_text::{CREDENTIAL_BYTES_MAX, credential_text, secret_from};
use crate::failure::Failure;
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
        output.words(&format!("{question}{shown}: "));
        let Some(answer) = read_line()? else { return Err(no_answer(output, question)) };
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

/// Prompts for the secret without echo, until it is valid. If it may be `kept`, an empty answer is `None`.
pub(crate) fn secret(output: &Output, kept: Kept) -> Result<Option<Secret>, Failure> {
    let ways = "pipe the secret into `mp auth add NAME --secret-stdin`, or set MP_SECRET";
    let question = if kept == Kept::Yes { "Secret [unchanged]: " } else { "Secret: " };
    loop {
        let answer = rpassword::prompt_password(question)
            .map_err(|error| Failure::new("cannot prompt for the secret").caused_by(&error).hint(ways))?;
        if kept == Kept::Yes && answer.is_empty() {
            return Ok(None);
        }
        match credential_text(answer.as_bytes()) {
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
