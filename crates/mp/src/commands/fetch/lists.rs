//! Splits the comma-separated lists of options.

use crate::failure::Failure;

/// Splits the value of an option at commas. An item in double quotes may contain commas, and `""` stands for a quote.
pub(super) fn split_list(option: &str, list: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' if quoted || name.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            other => name.push(other),
        }
    }
    if quoted {
        return Err(Failure::usage(format!("`{option}` has an unclosed quote"))
            .hint("write an item with a comma as \"a,b\", and double a quote inside it"));
    }
    names.push(name);
    Ok(names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let table: [(&str, &[&str]); 6] = [
            ("plan", &["plan"]),
            ("plan, $email ,", &["plan", "$email"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\", you\"", &["say \"hi\", you"]),
            ("5\" disk,x", &["5\" disk", "x"]),
            ("", &[]),
        ];
        for (list, names) in table {
            assert_eq!(split_list("--output-properties", list).expect(list), names, "{list}");
        }
        assert_eq!(split_list("--output-properties", "\"a,b").expect_err("an open quote").exit, Exit::Usage);
    }
}
