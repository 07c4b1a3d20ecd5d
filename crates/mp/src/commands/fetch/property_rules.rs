//! Which properties a fetch drops and hashes: `--drop`, `--hash`, and those of the config file.

use mixpanel_data::{EventFetch, HashKey, ProfileFetch};

use crate::accounts::Accounts;
use crate::cli::PropertyRuleArgs;
use crate::commands::lists::{quoting_hint, split_lists};
use crate::context::Context;
use crate::failure::Failure;
use crate::hash_key::{self, HOW_TO_MAKE_ONE};

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

/// Sets the properties to drop and to hash. Those of the config file apply to every fetch, so that an option cannot
/// replace them; but a property that the config file hashes can be dropped.
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
    if raw && !configured.are_none() {
        let path = Accounts::path_of(context.environment())?;
        return Err(Failure::usage(
            "`--raw` prints records as received, but the config file drops or hashes properties",
        )
        .hint(format!("omit `--raw`; `drop` and `hash` are under `[defaults]` in `{}`", path.display())));
    }
    let configured_hash = configured.hash.iter().filter(|name| !drop.contains(name));
    let hash: Vec<String> = hash.iter().chain(configured_hash).cloned().collect();
    let fetch = fetch.drop_all(drop.iter().chain(&configured.drop).cloned().collect());
    if hash.is_empty() {
        return Ok(fetch);
    }
    match hash_key::read(context.environment(), &context.hash_key, &context.output)? {
        Some(key) => Ok(fetch.hash_all(hash, key)),
        None => Err(no_key(context)),
    }
}

fn no_key(context: &Context) -> Failure {
    let file = Accounts::path_of(context.environment())
        .map_or_else(|_| "the config file".to_owned(), |path| format!("`{}`", path.display()));
    Failure::usage("hashing properties needs a key, and there is none").hint(format!(
        "make one with {HOW_TO_MAKE_ONE} and keep it; then set MP_HASH_KEY to it, or `hash_key_file` under \
         `[defaults]` in {file} to a file with it"
    ))
}

/// Returns the names in the lists of an option.
fn names(lists: &[String], option: &str) -> Result<Vec<String>, Failure> {
    split_lists(option, lists, "property", quoting_hint(option))
}
