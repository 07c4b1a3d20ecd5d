//! Which properties a fetch drops and hashes: `--drop`, `--hash`, and those of the config file.

use mixpanel_data::{EventFetch, HashKey, ProfileFetch};

use crate::cli::PropertyRuleArgs;
use crate::commands::lists::{quoting_hint, split_lists};
use crate::context::Context;
use crate::failure::Failure;
use crate::hash_key;
use crate::property_rules::{PropertyRules, check_raw, combined};

/// A fetch that can drop and hash properties.
pub(super) trait TakesRules {
    fn drop_all(self, names: Vec<String>) -> Self;
    fn hash_all(self, names: Vec<String>, key: HashKey) -> Self;
}

impl TakesRules for ProfileFetch {
    fn drop_all(self, names: Vec<String>) -> Self {
        self.drop_properties(names)
    }

    fn hash_all(self, names: Vec<String>, key: HashKey) -> Self {
        self.hash_properties(names, key)
    }
}

impl TakesRules for EventFetch {
    fn drop_all(self, names: Vec<String>) -> Self {
        self.drop_properties(names)
    }

    fn hash_all(self, names: Vec<String>, key: HashKey) -> Self {
        self.hash_properties(names, key)
    }
}

/// Sets the properties to drop and to hash: those of the options and of the config file.
///
/// # Errors
/// A usage error for a list without names, and without a key to hash with.
pub(super) fn with_rules<F: TakesRules>(
    context: &Context,
    arguments: &PropertyRuleArgs,
    raw: bool,
    fetch: F,
) -> Result<F, Failure> {
    let PropertyRuleArgs { drop, hash, configured } = arguments;
    let (drop, hash) = (names(drop, "--drop")?, names(hash, "--hash")?);
    let environment = context.environment();
    if raw {
        check_raw(environment, configured)?;
    }
    let key = || hash_key::read(environment, &context.hash_key, &context.output);
    let PropertyRules { drop, hash, key } = combined(environment, configured, drop, hash, key)?;
    let fetch = fetch.drop_all(drop);
    Ok(match key {
        Some(key) => fetch.hash_all(hash, key),
        None => fetch,
    })
}

/// Returns the names in the lists of an option.
fn names(lists: &[String], option: &str) -> Result<Vec<String>, Failure> {
    split_lists(option, lists, "property", quoting_hint(option))
}
