//! Prompts for input on a terminal.

use std::io::{self, IsTerminal as _, Read as _};

use mixpanel_data::Secret;

use crate::credential_text::{CREDENTIAL_BYTES_MAX, secret_from};
use crate::failure::Failure;
use crate::output::Output;
use crate::streams::Stdin;
use crate::text::printable;

/// Maximum size of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Prompts for a line of text.
pub(crate) fn text(output: &Output, question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("cannot prompt for the {question}: standard input is not a terminal")));
    }
    output.words(&format!("{question}: "));
    Ok(read_line()?.unwrap_or_default())
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

/// Prompts for the secret without echo.
pub(crate) fn secret() -> Result<Secret, Failure> {
    let ways = "pipe the secret into `mp auth add NAME --secret-stdin`, or set MP_SECRET";
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("cannot prompt for the secret: standard input is not a terminal").hint(ways));
    }
    let secret = rpassword::prompt_password("Secret: ")
        .map_err(|error| Failure::new("cannot prompt for the secret").caused_by(&error).hint(ways))?;
    secret_from("the prompt", secret.as_bytes())
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
