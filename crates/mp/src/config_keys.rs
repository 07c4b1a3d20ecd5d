//! Finds what the config file must not contain, such as a misspelled section.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike};

/// The key with the name of the default account.
pub(crate) const DEFAULT: &str = "default";
/// The section with the accounts.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The section with the defaults of options.
pub(crate) const DEFAULTS: &str = "defaults";
/// The keys of an account.
pub(crate) const ACCOUNT_KEYS: [&str; 4] = ["username", "secret", "project_id", "region"];
/// The keys of `[defaults]`.
pub(crate) const DEFAULTS_KEYS: [&str; 10] =
    ["db", "drop", "format", "hash", "hash_key", "hash_key_file", "memory", "page_size", "parallel", "workers"];

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongKey {
    /// The line, counted from 1.
    pub(crate) line: usize,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

/// Returns the first wrong key of a file, except in `[defaults]`.
pub(crate) fn find(document: &Document<&str>) -> Option<WrongKey> {
    let table = document.as_table();
    table.iter().find_map(|(name, item)| {
        let found = match name {
            DEFAULT => wrong_default(item),
            DEFAULTS => None,
            ACCOUNTS => return item.as_table_like().and_then(|accounts| in_accounts(document.raw(), accounts)),
            _ => Some(unknown(name, item)),
        };
        let (reason, hint) = found?;
        Some(WrongKey { line: line_of(document.raw(), table.get_key_value(name)), reason, hint })
    })
}

fn wrong_default(item: &Item) -> Option<(String, String)> {
    if item.is_str() {
        return None;
    }
    Some(match item.is_table_like() {
        true => (
            "`default` is the name of the default account, not a section".to_owned(),
            "start the section of default options with `[defaults]`".to_owned(),
        ),
        false => (
            "`default` is not a string".to_owned(),
            "put the name of an account in quotes: `default = \"NAME\"`".to_owned(),
        ),
    })
}

fn unknown(name: &str, item: &Item) -> (String, String) {
    let Some(table) = item.as_table_like() else {
        let section = if DEFAULTS_KEYS.contains(&name) {
            "put it under `[defaults]`"
        } else if ACCOUNT_KEYS.contains(&name) {
            "put it under `[accounts.NAME]`"
        } else {
            "the only key outside a section is `default = \"NAME\"`"
        };
        return (format!("unknown key `{name}`"), section.to_owned());
    };
    let lower = name.to_lowercase();
    let hint = if lower.starts_with("acc") {
        let account = table.iter().next().filter(|(_, item)| item.is_table_like()).map_or("NAME", |(key, _)| key);
        format!("write `[accounts.{}]`", Key::new(account).display_repr())
    } else if lower.starts_with("def") {
        "write `[defaults]`".to_owned()
    } else {
        "the sections are `[accounts.NAME]` and `[defaults]`".to_owned()
    };
    (format!("unknown section `[{name}]`"), hint)
}

fn in_accounts(text: &str, accounts: &dyn TableLike) -> Option<WrongKey> {
    accounts.iter().find_map(|(name, account)| {
        let account = account.as_table_like()?;
        let (key, item) = account.iter().find(|(key, _)| !ACCOUNT_KEYS.contains(key))?;
        let section = Key::new(name);
        let hint = match item.is_table_like() {
            true => format!("put a name that contains a dot in quotes: `[accounts.\"{name}.{key}\"]`"),
            false => format!("the keys of an account are {}", ACCOUNT_KEYS.join(", ")),
        };
        Some(WrongKey {
            line: line_of(text, account.get_key_value(key)),
            reason: format!("unknown key `{key}` in `[accounts.{}]`", section.display_repr()),
            hint,
        })
    })
}

fn line_of(text: &str, entry: Option<(&Key, &Item)>) -> usize {
    let span: Option<Range<usize>> = entry.and_then(|(key, item)| key.span().or_else(|| item.span()));
    let before = span.map_or(0, |span| span.start.min(text.len()));
    text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_found_with_their_line() {
        for (text, expected) in [
            ("", None),
            ("default = \"a\"\n[accounts.a]\nusername = \"u\"\n[defaults]\nx = 1", None),
            ("\n[default]\ndrop = []", Some((2, "`default` is the name", "`[defaults]`"))),
            ("default = 3", Some((1, "`default` is not a string", "in quotes"))),
            ("# c\n\nextra = 1", Some((3, "unknown key `extra`", "`default = \"NAME\"`"))),
            ("drop = [\"x\"]", Some((1, "unknown key `drop`", "under `[defaults]`"))),
            ("secret = \"x\"", Some((1, "unknown key `secret`", "under `[accounts.NAME]`"))),
            ("[defaults]\n\n[account.a]\nusername = \"u\"", Some((3, "unknown section `[account]`", "`[accounts.a]`"))),
            ("[Accounts.\"a b\"]", Some((1, "unknown section `[Accounts]`", "`[accounts.\"a b\"]`"))),
            ("account = { username = \"u\" }", Some((1, "unknown section `[account]`", "`[accounts.NAME]`"))),
            ("[Defaults]\ndrop = []", Some((1, "unknown section `[Defaults]`", "`[defaults]`"))),
            ("[[privacy]]\ndrop = []", Some((1, "unknown key `privacy`", "outside a section"))),
            ("[privacy]\ndrop = []", Some((1, "unknown section `[privacy]`", "the sections are"))),
            ("[accounts.a]\nregion = \"us\"\nregoin = \"eu\"", Some((3, "unknown key `regoin`", "project_id, region"))),
            ("accounts.a = { drop = [] }", Some((1, "unknown key `drop` in `[accounts.a]`", "the keys of an account"))),
            ("[accounts.my.prod]\nregion = \"us\"", Some((1, "unknown key `prod`", "`[accounts.\"my.prod\"]`"))),
        ] {
            let found = find(&Document::parse(text).expect("TOML"));
            let found = found.as_ref().map(|wrong| (wrong.line, wrong.reason.as_str(), wrong.hint.as_str()));
            assert_eq!(found.map(|found| found.0), expected.map(|expected| expected.0), "{text}: {found:?}");
            if let (Some((_, reason, hint)), Some((_, in_reason, in_hint))) = (found, expected) {
                assert!(reason.contains(in_reason) && hint.contains(in_hint), "{text}: {found:?}");
            }
        }
    }
}
