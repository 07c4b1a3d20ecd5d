//! The options that drop and hash properties.

use clap::Args;

/// Which properties are not stored as received.
#[derive(Debug, Default, Args)]
pub(crate) struct PropertyRuleArgs {
    /// Store nothing of these properties, separated by commas (can be repeated): '$phone,$name'
    ///
    /// They are removed before anything is written to disk. Names are case-sensitive; quote one that has a comma:
    /// '"a,b",c'. Properties within other ones have no name. `drop` under `[defaults]` in the config file adds to these.
    #[arg(long, value_name = "NAMES", conflicts_with = "raw", help_heading = "Personal data")]
    pub(crate) drop: Vec<String>,

    /// Store keyed hashes instead of the values of these properties (can be repeated) [key: MP_HASH_KEY]
    ///
    /// Equal values have equal hashes (HMAC-SHA-256), in every table with the same key, so that tables can still be
    /// joined. `distinct_id` hashes the ids. The key is MP_HASH_KEY, or `hash_key_file` or `hash_key` under
    /// `[defaults]` in the config file; make one with `openssl rand -hex 32`. `hash` under `[defaults]` adds to these.
    #[arg(long, value_name = "NAMES", conflicts_with = "raw", help_heading = "Personal data")]
    pub(crate) hash: Vec<String>,

    /// Those of the config file.
    #[arg(skip)]
    pub(crate) configured: ConfiguredRules,
}

/// The names of properties in the config file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredRules {
    pub(crate) drop: Vec<String>,
    pub(crate) hash: Vec<String>,
}

impl ConfiguredRules {
    /// Returns whether the config file names no property.
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}
