//! Which properties of records are dropped or hashed before they are stored.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::hash_key::{HashKey, ValueHasher};
use crate::text::named;

/// The name of the id, as it is recorded.
pub(crate) const ID: &str = "$distinct_id";

/// The names of the id: in Mixpanel, and of the column. Properties with these names are treated like the id.
const ID_NAMES: [&str; 2] = [ID, "distinct_id"];

/// The properties that identify an event, besides the id.
const TIME: &str = "time";
const INSERT_ID: &str = "$insert_id";

/// The rules that a caller sets for a fetch.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestedRules {
    /// Names of properties to drop.
    pub(crate) drop: Vec<String>,
    /// Names of properties to hash.
    pub(crate) hash: Vec<String>,
    pub(crate) key: Option<HashKey>,
}

impl RequestedRules {
    /// Checks the rules for a fetch of events. Returns `None` if there are none.
    ///
    /// # Errors
    /// Same as [`check`](Self::check), and `InvalidInput` if they concern what identifies an event: its time must stay,
    /// and its insert id may only be hashed.
    pub(crate) fn check_for_events(&self) -> Result<Option<Arc<ActiveRules>>> {
        let has = |names: &[String], name: &str| names.iter().any(|own| own == name);
        if has(&self.drop, TIME) || has(&self.hash, TIME) {
            return Err(Error::invalid(format!(
                "property `{TIME}` cannot be dropped or hashed, because events are ordered by it; remove it from the rules"
            )));
        }
        if has(&self.drop, INSERT_ID) {
            return Err(Error::invalid(format!(
                "property `{INSERT_ID}` cannot be dropped, because it identifies an event; hash it instead"
            )));
        }
        self.check()
    }

    /// Checks the rules. Returns `None` if there are none.
    ///
    /// # Errors
    /// `InvalidInput` that names the property: a property in both lists, the id among the properties to drop.
    /// `InvalidInput` without a key to hash with.
    pub(crate) fn check(&self) -> Result<Option<Arc<ActiveRules>>> {
        let (drop, hash) = (sorted(&self.drop), sorted(&self.hash));
        if drop.iter().any(|name| name == ID) {
            return Err(Error::invalid(
                "`distinct_id` cannot be dropped, because it identifies a row; hash it instead",
            ));
        }
        if let Some(name) = drop.iter().find(|name| hash.contains(name)) {
            let name = named(name);
            return Err(Error::invalid(format!("property {name} is to be dropped and to be hashed; choose one")));
        }
        let key = if hash.is_empty() { None } else { self.key.clone() };
        if key.is_none() && !hash.is_empty() {
            return Err(Error::invalid("hashing properties needs a key").with_fault(Fault::HashKey));
        }
        let key_check = key.as_ref().map(HashKey::check_value);
        Ok(ActiveRules::new(PropertyRules { drop, hash, key_check }, key))
    }
}

/// Returns the names in order, each once, and the id by its first name.
fn sorted(names: &[String]) -> Vec<String> {
    let one = |name: &String| if ID_NAMES.contains(&name.as_str()) { ID.to_owned() } else { name.clone() };
    let mut names: Vec<String> = names.iter().map(one).collect();
    names.sort();
    names.dedup();
    names
}

/// The rules of a fetch as they are recorded: without the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PropertyRules {
    /// Names of dropped properties, sorted.
    #[serde(default)]
    pub(crate) drop: Vec<String>,
    /// Names of hashed properties, sorted.
    #[serde(default)]
    pub(crate) hash: Vec<String>,
    /// The check value of the key: the first 8 hex digits of a hash.
    #[serde(default)]
    pub(crate) key_check: Option<String>,
}

impl PropertyRules {
    /// Returns whether properties are stored as received.
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the key of these rules, for a process that continues a run.
    ///
    /// # Errors
    /// `InvalidInput` if the key is missing or another one; the message begins with `whose`, such as "run `r1`".
    pub(crate) fn with_key(&self, key: Option<&HashKey>, whose: &str) -> Result<Option<Arc<ActiveRules>>> {
        let Some(recorded) = &self.key_check else { return Ok(ActiveRules::new(self.clone(), None)) };
        let hashes = format!("{whose} hashes {}", list(&self.hash));
        let wrong = match key.map(|key| (key, key.check_value())) {
            Some((key, check)) if check == *recorded => return Ok(ActiveRules::new(self.clone(), Some(key.clone()))),
            Some((_, check)) => {
                format!("{hashes} with another key: its check value is {recorded}, that of this key is {check}")
            }
            None => format!("{hashes} and needs its key, whose check value is {recorded}"),
        };
        Err(Error::invalid(wrong).with_fault(Fault::HashKey))
    }

    /// Checks that rows made with `other` rules may be added to `table`, which has these rules.
    ///
    /// # Errors
    /// `InvalidInput` that names the first difference.
    pub(crate) fn check_same(&self, other: &Self, table: &str) -> Result<()> {
        let difference = if self.drop != other.drop {
            format!("dropped {}, and this fetch drops {}", list(&self.drop), list(&other.drop))
        } else if self.hash != other.hash {
            format!("hashed {}, and this fetch hashes {}", list(&self.hash), list(&other.hash))
        } else if self.key_check != other.key_check {
            let check = |rules: &Self| rules.key_check.clone().unwrap_or_default();
            format!("hashed with another key: its check value is {}, that of this key is {}", check(self), check(other))
        } else {
            return Ok(());
        };
        let error = Error::invalid(format!("the last load of table `{table}` {difference}"));
        let fault =
            if self.hash == other.hash && self.drop == other.drop { Fault::HashKey } else { Fault::PropertyRules };
        Err(error
            .with_fault(fault)
            .with_detail("table_name", table)
            .with_detail("dropped", self.drop.clone())
            .with_detail("hashed", self.hash.clone()))
    }
}

/// Returns the names as a phrase.
fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| named(name)).collect();
    if names.is_empty() { "no property".to_owned() } else { names.join(", ") }
}

/// What happens to the value of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Drop,
    Hash,
}

/// Rules with their key, ready to be applied.
#[derive(Debug)]
pub(crate) struct ActiveRules {
    rules: PropertyRules,
    key: Option<HashKey>,
    /// The rule of each name: its position in [`names`](Self::names), and what it does.
    by_name: HashMap<String, (usize, Treatment)>,
}

impl ActiveRules {
    fn new(rules: PropertyRules, key: Option<HashKey>) -> Option<Arc<Self>> {
        if rules.are_none() {
            return None;
        }
        let dropped = rules.drop.iter().map(|name| (name, Treatment::Drop));
        let hashed = rules.hash.iter().map(|name| (name, Treatment::Hash));
        let mut by_name = HashMap::new();
        for (position, (name, treatment)) in dropped.chain(hashed).enumerate() {
            let aliases: &[&str] = if name == ID { &ID_NAMES } else { &[name.as_str()] };
            by_name.extend(aliases.iter().map(|name| ((*name).to_owned(), (position, treatment))));
        }
        Some(Arc::new(Self { rules, key, by_name }))
    }

    /// Returns the rules as they are recorded.
    pub(crate) fn recorded(&self) -> &PropertyRules {
        &self.rules
    }

    /// Returns the names of the properties with a rule.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.drop.iter().chain(&self.rules.hash).map(String::as_str)
    }

    /// Returns the rule of a property, if it has one: its position in [`names`](Self::names), and what it does.
    pub(crate) fn of(&self, name: &str) -> Option<(usize, Treatment)> {
        self.by_name.get(name).copied()
    }

    /// Prepares for hashing values. `None` if no property is hashed.
    pub(crate) fn hasher(&self) -> Option<ValueHasher> {
        self.key.as_ref().map(HashKey::hasher)
    }
}

#[cfg(test)]
pub(crate) fn rules_for_tests(drop: &[&str], hash: &[&str], key: &str) -> Arc<ActiveRules> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let key = HashKey::new(crate::credentials::Secret::new(key)).expect("a long key");
    let requested = RequestedRules { drop: names(drop), hash: names(hash), key: Some(key) };
    requested.check().expect("valid rules").expect("some rules")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;

    const KEY: &str = "0123456789abcdef";

    fn key(text: &str) -> HashKey {
        HashKey::new(Secret::new(text)).unwrap()
    }

    fn requested(drop: &[&str], hash: &[&str], key: Option<HashKey>) -> RequestedRules {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        RequestedRules { drop: names(drop), hash: names(hash), key }
    }

    #[test]
    fn rules_that_cannot_be_applied_are_refused() {
        let key = Some(key(KEY));
        for (rules, expected) in [
            (requested(&[""], &[""], key.clone()), "property `\"\"` is to be dropped and to be hashed; choose one"),
            (requested(&[], &[""], None), "hashing properties needs a key"),
            (requested(&["a"], &["b", "a"], key.clone()), "property `a` is to be dropped and to be hashed; choose one"),
            (
                requested(&["distinct_id"], &[], None),
                "`distinct_id` cannot be dropped, because it identifies a row; hash it instead",
            ),
            (
                requested(&["$distinct_id"], &[], None),
                "`distinct_id` cannot be dropped, because it identifies a row; hash it instead",
            ),
            (requested(&[], &["a"], None), "hashing properties needs a key"),
        ] {
            assert_eq!(rules.check().unwrap_err().message(), expected);
        }
        assert!(requested(&[], &[], key).check().unwrap().is_none());
    }

    #[test]
    fn what_identifies_an_event_is_kept() {
        let check = |drop: &[&str], hash: &[&str]| {
            let checked = requested(drop, hash, Some(key(KEY))).check_for_events();
            checked.map(|rules| rules.is_some()).map_err(|error| error.message().to_owned())
        };
        let time = "property `time` cannot be dropped or hashed, because events are ordered by it; \
                    remove it from the rules";
        assert_eq!(check(&["time"], &[]).unwrap_err(), time);
        assert_eq!(check(&[], &["time"]).unwrap_err(), time);
        assert_eq!(
            check(&["$insert_id"], &[]).unwrap_err(),
            "property `$insert_id` cannot be dropped, because it identifies an event; hash it instead"
        );
        assert!(check(&["distinct_id"], &[]).unwrap_err().contains("hash it instead"));
        assert_eq!(check(&["$time", "Time"], &["$insert_id", "distinct_id"]), Ok(true));
        assert_eq!(check(&[], &[]), Ok(false));
    }

    #[test]
    fn names_are_recorded_in_one_order_and_the_id_by_one_name() {
        let rules = requested(&["b", "a", "b"], &["distinct_id", "$x", "$distinct_id"], Some(key(KEY)));
        let rules = rules.check().unwrap().unwrap();
        let recorded = serde_json::to_string(rules.recorded()).unwrap();
        let check = key(KEY).check_value();
        assert_eq!(recorded, format!(r#"{{"drop":["a","b"],"hash":["$distinct_id","$x"],"key_check":"{check}"}}"#));
        assert_eq!(rules.of("distinct_id"), rules.of("$distinct_id"));
        assert_eq!(rules.of("a"), Some((0, Treatment::Drop)));
        assert_eq!(rules.of("A"), None);
    }

    #[test]
    fn a_run_continues_only_with_its_key() {
        let rules = requested(&["a"], &["b"], Some(key(KEY))).check().unwrap().unwrap();
        let rules = rules.recorded();
        assert_eq!(rules.with_key(Some(&key(KEY)), "it").unwrap().unwrap().recorded(), rules);
        let other = "another key of some length";
        for (given, part) in [(None, "needs its key"), (Some(key(other)), "with another key")] {
            let error = rules.with_key(given.as_ref(), "run `r1`").unwrap_err();
            assert!(error.message().starts_with("run `r1` hashes `b`") && error.message().contains(part), "{error}");
            assert!(!error.message().contains(KEY) && !error.message().contains(other), "{error}");
            assert_eq!(error.fault(), Some(Fault::HashKey));
        }
        let without_hashes = PropertyRules { drop: vec!["a".to_owned()], ..PropertyRules::default() };
        assert!(without_hashes.with_key(None, "it").unwrap().is_some());
        assert!(PropertyRules::default().with_key(Some(&key(KEY)), "it").unwrap().is_none());
    }

    #[test]
    fn differing_rules_are_named() {
        let of = |drop: &[&str], hash: &[&str], text: &str| {
            let rules = requested(drop, hash, Some(key(text))).check().unwrap();
            rules.map(|rules| rules.recorded().clone()).unwrap_or_default()
        };
        let table = [
            (of(&["a"], &[], KEY), of(&[], &[], KEY), "dropped `a`, and this fetch drops no property"),
            (of(&[], &[], KEY), of(&["a", "b"], &["c"], KEY), "dropped no property, and this fetch drops `a`, `b`"),
            (of(&["a"], &["c"], KEY), of(&["a"], &["d"], KEY), "hashed `c`, and this fetch hashes `d`"),
            (of(&[], &["c"], KEY), of(&[], &["c"], "0123456789abcdeg"), "hashed with another key: its check value is "),
        ];
        for (was, is, expected) in table {
            let error = was.check_same(&is, "t").unwrap_err();
            let expected = format!("the last load of table `t` {expected}");
            assert!(error.message().starts_with(&expected), "{error}");
            assert!(was.check_same(&was.clone(), "t").is_ok());
        }
    }
}
