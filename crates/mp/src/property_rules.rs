//! Combines the properties that a caller wants to drop or hash with those of the config file.

use mixpanel_data::HashKey;

use crate::accounts::Accounts;
use crate::cli::ConfiguredRules;
use crate::env::Environment;
use crate::failure::Failure;
use crate::hash_key::HOW_TO_MAKE_ONE;

/// The properties that a fetch drops and hashes.
#[derive(Debug, Clone, Default)]
pub struct PropertyRules {
    /// Names of properties of which nothing is stored.
    pub drop: Vec<String>,
    /// Names of properties whose values are replaced by keyed hashes.
    pub hash: Vec<String>,
    /// The key; set if `hash` has a name.
    pub key: Option<HashKey>,
}

/// Returns the rules for a fetch. Those of the config file apply to every fetch, so that a caller cannot replace them;
/// but a property that the config file hashes can be dropped. `key` is called only if there is something to hash.
///
/// # Errors
/// Those of `key`, and a usage error if there is no key.
pub(crate) fn combined(
    environment: &Environment,
    configured: &ConfiguredRules,
    drop: Vec<String>,
    hash: Vec<String>,
    key: impl FnOnce() -> Result<Option<HashKey>, Failure>,
) -> Result<PropertyRules, Failure> {
    let configured_hash = configured.hash.iter().filter(|name| !drop.contains(name)).cloned();
    let hash: Vec<String> = hash.into_iter().chain(configured_hash).collect();
    let drop = drop.into_iter().chain(configured.drop.iter().cloned()).collect();
    let key = match hash.is_empty() {
        true => None,
        false => Some(key()?.ok_or_else(|| no_key(environment))?),
    };
    Ok(PropertyRules { drop, hash, key })
}

/// Rejects a request for records as received if the config file drops or hashes properties.
pub(crate) fn check_raw(environment: &Environment, configured: &ConfiguredRules) -> Result<(), Failure> {
    if configured.are_none() {
        return Ok(());
    }
    let path = Accounts::path_of(environment)?;
    Err(Failure::usage("`--raw` prints records as received, but the config file drops or hashes properties")
        .hint(format!("omit `--raw`; `drop` and `hash` are under `[defaults]` in `{}`", path.display())))
}

fn no_key(environment: &Environment) -> Failure {
    let file = Accounts::path_of(environment)
        .map_or_else(|_| "the config file".to_owned(), |path| format!("`{}`", path.display()));
    Failure::usage("hashing properties needs a key, and there is none").hint(format!(
        "make one with {HOW_TO_MAKE_ONE} and keep it; then set MP_HASH_KEY to it, or `hash_key_file` under \
         `[defaults]` in {file} to a file with it"
    ))
}
