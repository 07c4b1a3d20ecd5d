//! Splits the comma-separated lists of options.

use std::fmt::Display;

use crate::failure::Failure;

/// Returns the names in all lists of an option.
///
/// # Errors
/// Those of [`split_names`], and a usage error with this hint for a list that names no `what`.
pub(super) fn split_lists(
    option: &str,
    lists: &[String],
    what: &str,
    hint: impl Display,
) -> Result<Vec<String>, Failure> {
    let names = lists.iter().map(|list| split_names(option, list)).collect::<Result<Vec<_>, _>>()?;
    if names.iter().any(Vec::is_empty) {
        return Err(Failure::usage(format!("`{option}` names no {what}")).hint(hint.to_string()));
    }
    Ok(names.concat())
}

/// Returns the hint for a list of properties whose names a shell may have replaced.
pub(super) fn quoting_hint(option: &str) -> String {
    format!("put the names in single quotes, because a shell replaces `$email` elsewhere: `{option} '$email'`")
}

/// Splits a list of names; a list without items is empty.
///
/// # Errors
/// Those of [`items`], and a usage error for a missing item, as in `a,,b`: a shell may have replaced its name.
fn split_names(option: &str, list: &str) -> Result<Vec<String>, Failure> {
    let items = items(option, list)?;
    if items.iter().all(Item::is_missing) {
        return Ok(Vec::new());
    }
    if let Some(position) = items.iter().position(Item::is_missing) {
        return Err(Failure::usage(format!("item {} of `{option}` is missing", position + 1)).hint(
            "remove the comma before or after it, and put the list in single quotes, because a shell replaces `$email` \
             elsewhere; write an empty name as `\"\"`",
        ));
    }
    Ok(items.into_iter().map(Item::into_text).collect())
}

/// Splits a list of ids, and leaves out missing items: no id is empty.
pub(super) fn split_ids(option: &str, list: &str) -> Result<Vec<String>, Failure> {
    let items = items(option, list)?.into_iter();
    Ok(items.filter(|item| !item.is_missing()).map(Item::into_text).collect())
}

/// Splits the value of an option at commas. An item in double quotes may be empty or contain commas, and `""` within it
/// stands for a quote.
///
/// # Errors
/// A usage error for an unclosed quote.
fn items(option: &str, list: &str) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut item = Item::default();
    let mut quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                item.text.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if !item.is_quoted && item.text.trim().is_empty() => {
                item = Item { text: String::new(), is_quoted: true };
                quoted = true;
            }
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            // Blanks after a closing quote.
            blank if !quoted && item.is_quoted && blank.is_whitespace() => {}
            other => item.text.push(other),
        }
    }
    if quoted {
        return Err(Failure::usage(format!("`{option}` has an unclosed quote"))
            .hint("write an item with a comma as \"a,b\", and double a quote inside it"));
    }
    items.push(item);
    Ok(items)
}

#[derive(Default)]
struct Item {
    text: String,
    is_quoted: bool,
}

impl Item {
    fn is_missing(&self) -> bool {
        !self.is_quoted && self.text.trim().is_empty()
    }

    fn into_text(self) -> String {
        if self.is_quoted { self.text } else { self.text.trim().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let table: [(&str, &[&str]); 14] = [
            ("plan", &["plan"]),
            ("plan, $email ", &["plan", "$email"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\", you\"", &["say \"hi\", you"]),
            ("5\" disk,x", &["5\" disk", "x"]),
            ("\"\"", &[""]),
            ("\"\",plan", &["", "plan"]),
            (" \"\" , plan", &["", "plan"]),
            ("plan,\"\"", &["plan", ""]),
            ("\"\"\"\"", &["\""]),
            ("\" a \" ,b", &[" a ", "b"]),
            ("\" \"", &[" "]),
            ("", &[]),
            (" , ,", &[]),
        ];
        for (list, names) in table {
            assert_eq!(split_names("--output-properties", list).expect(list), names, "{list}");
        }
        assert_eq!(split_names("--output-properties", "\"a,b").expect_err("an open quote").exit, Exit::Usage);
    }

    #[test]
    fn a_missing_item_is_an_error() {
        for (list, position) in [("a,,b", 2), (",plan", 1), ("plan,", 2), ("plan, ,", 2), ("\"\",", 2)] {
            let failure = split_names("--drop", list).expect_err(list);
            assert_eq!(failure.exit, Exit::Usage, "{list}");
            assert!(split_ids("--distinct-ids", list).is_ok_and(|ids| !ids.is_empty()), "{list}");
            assert!(format!("{failure:?}").contains(&format!("item {position} of `--drop` is missing")), "{failure:?}");
        }
    }
}
