//! Reads the ids of `--distinct-ids`: from the command line, a file or standard input.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use mixpanel_data::limits::DISTINCT_IDS_MAX;

use crate::commands::lists::split_ids;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::streams::Stdin;
use crate::text::{counted, thousands};

/// Maximum size of a list of ids; a larger file was named by mistake.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Returns the ids of all values of the option, each once.
pub(super) fn ids(context: &Context, values: &[String]) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    for value in values {
        let more = match value.strip_prefix('@') {
            _ if value == "-" => from_stdin(context)?,
            Some("") => {
                return Err(Failure::usage("`@` in `--distinct-ids` is not followed by the path of a file")
                    .hint("write `@FILE`, or `-` to read the ids from standard input"));
            }
            Some(path) => from_file(&context.path(Path::new(path))?)?,
            None => split_ids("--distinct-ids", value)?,
        };
        ids.extend(more.into_iter().filter(|id| seen.insert(id.clone())));
    }
    if ids.is_empty() {
        return Err(Failure::usage("`--distinct-ids` names no id").hint("leave it out to fetch all profiles"));
    }
    if ids.len() > DISTINCT_IDS_MAX {
        let (number, most) = (counted(ids.len() as u64, "id"), thousands(DISTINCT_IDS_MAX as u64));
        return Err(Failure::usage(format!("`--distinct-ids` names {number}, and a fetch can have at most {most}"))
            .hint("split the list, and fetch its parts into one table with `--append`"));
    }
    Ok(ids)
}

fn from_stdin(context: &Context) -> Result<Vec<String>, Failure> {
    if io::stdin().is_terminal() {
        context.output.note("reading ids from the terminal, one per line, up to Ctrl-D");
    }
    read_list("standard input", Ok(Stdin))
}

fn from_file(path: &Path) -> Result<Vec<String>, Failure> {
    read_list(&format!("`{}`", path.display()), File::open(path))
}

/// Reads a list with one id per line.
fn read_list(name: &str, source: io::Result<impl Read>) -> Result<Vec<String>, Failure> {
    let mut bytes = Vec::new();
    let read = source.and_then(|source| source.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        let failure = Failure::io(format!("cannot read the ids from {name}"), &error);
        if error.kind() == io::ErrorKind::NotFound { failure.exit(Exit::NotFound) } else { failure }
    })?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(Failure::usage(format!("{name} is too long for a list of ids: more than 64 MiB")));
    }
    let ids = lines(&bytes).map_err(|line| {
        Failure::usage(format!("line {line} of {name} is not UTF-8")).hint("convert the file to UTF-8, one id per line")
    })?;
    if ids.is_empty() {
        return Err(Failure::usage(format!("{name} has no ids")).hint("write one id per line"));
    }
    Ok(ids)
}

/// Returns the lines that are not blank, unchanged.
///
/// # Errors
/// The number of the first line that is not UTF-8, counted from 1.
fn lines(bytes: &[u8]) -> Result<Vec<String>, usize> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut ids = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| index + 1)?;
        if !line.trim().is_empty() {
            ids.push(line.to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_id_unchanged() {
        for (bytes, expected) in [
            (&b"a\nb\n"[..], Ok(&["a", "b"][..])),
            (b"a\r\nb", Ok(&["a", "b"])),
            (b"\xef\xbb\xbfa\n", Ok(&["a"])),
            (b"\n\n a b \n\t\n", Ok(&[" a b "])),
            (b"\"a,b\",c\n@x\n-\n", Ok(&["\"a,b\",c", "@x", "-"])),
            (b"a\rb\n", Ok(&["a\rb"])),
            (b"", Ok(&[])),
            (b"a\n\xff\n", Err(2)),
            (b"\xff\xfea\x00\n\x00", Err(1)),
        ] {
            let expected = expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
            assert_eq!(lines(bytes), expected, "{bytes:?}");
        }
    }
}
