//! Runs a query: validates its parameters and selects its results.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::SimulatorConfig;
use crate::filter::{Filter, Subject};
use crate::hash::mix2;
use crate::params::Params;
use crate::profiles::{Population, RecordView, pick_properties, push, push_number, push_projection};
use crate::project_profiles::reference;

/// The results of a query.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) filter_key: String,
    /// Whether only page 0 exists because the server does not cache the query: it has `behaviors` but no
    /// `as_of_timestamp` (`docs/mixpanel-api.md#engage-request`).
    pub(crate) uncached: bool,
    population: Population,
    output_properties: Option<Vec<String>>,
    /// The indices of the rows in the population; `None` means all of them in order.
    rows: Option<Vec<u64>>,
    cohort: u64,
    /// The number of cohort members without a profile, which follow the rows.
    without_profile: u64,
}

/// The validated parameters that select rows.
struct Conditions {
    filter: Option<Filter>,
    ids: Option<BTreeSet<String>>,
    cohort: Option<u64>,
    include_all_users: bool,
}

impl Selection {
    /// Runs a query.
    ///
    /// # Errors
    ///
    /// Returns a message that names the invalid parameter.
    pub(crate) fn make(config: &SimulatorConfig, people: &Population, params: &Params) -> Result<Self, String> {
        let population = match params.get("data_group_id") {
            Some(id) => Population::groups(config.seed, reference(config), id, config.groups),
            None => people.clone(),
        };
        let behaviors = behaviors(params)?;
        let conditions = Conditions {
            filter: params.get("where").map(|text| Filter::parse(text, &behaviors)).transpose()?,
            ids: distinct_ids(params)?,
            cohort: cohort(params)?,
            include_all_users: flag(params, "include_all_users")?.unwrap_or(true),
        };
        if conditions.cohort.is_some() && !behaviors.is_empty() {
            return Err("filter_by_cohort and behaviors are mutually exclusive".to_owned());
        }
        let output_properties =
            params.get("output_properties").map(|text| text_list("output_properties", text)).transpose()?;
        let rows = select_rows(config.seed, &population, &conditions);
        let without_profile = ids_without_profile(config.seed, &conditions, rows.as_deref());
        Ok(Self {
            filter_key: params.filter_key(),
            uncached: !behaviors.is_empty() && params.get("as_of_timestamp").is_none(),
            population,
            output_properties,
            rows,
            cohort: conditions.cohort.unwrap_or(0),
            without_profile,
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.as_ref().map_or(self.population.len(), |rows| rows.len() as u64) + self.without_profile
    }

    /// Writes the result at index `place`, which must be below [`len`](Self::len).
    pub(crate) fn push_row(&self, out: &mut Vec<u8>, scratch: &mut Vec<u8>, place: u64) {
        let index = match &self.rows {
            None => Some(place),
            Some(rows) => usize::try_from(place).ok().and_then(|place| rows.get(place)).copied(),
        };
        let Some(index) = index else {
            push(out, "{\"$distinct_id\":\"cohort-");
            push_number(out, self.cohort);
            push(out, "-only-");
            push_number(out, place);
            push(out, "\",\"$properties\":{}}");
            return;
        };
        let Some(names) = &self.output_properties else {
            self.population.push_record(out, index);
            return;
        };
        scratch.clear();
        self.population.push_record(scratch, index);
        // `$last_seen` is always returned; this is not confirmed (`docs/mixpanel-api.md#engage-request`).
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.contains(&"$last_seen") {
            names.push("$last_seen");
        }
        push_projection(out, scratch, &names);
    }
}

fn select_rows(seed: u64, population: &Population, conditions: &Conditions) -> Option<Vec<u64>> {
    if conditions.filter.is_none() && conditions.ids.is_none() && conditions.cohort.is_none() {
        return None;
    }
    let names = conditions.filter.as_ref().map(Filter::property_names).unwrap_or_default();
    let mut record = Vec::new();
    let fits = |index: &u64| {
        // Copies belong to the same user, so they share cohort membership and behaviors.
        let (person, _) = population.original(*index);
        if !conditions.cohort.is_none_or(|cohort| is_member(seed, cohort, person)) {
            return false;
        }
        if let Some(ids) = &conditions.ids
            && !population.distinct_id(*index).is_some_and(|id| ids.contains(&id))
        {
            return false;
        }
        conditions.filter.as_ref().is_none_or(|filter| {
            record.clear();
            population.push_record(&mut record, *index);
            let values = pick_properties(RecordView::read(&record).properties, &names);
            filter.matches(&Subject { values: &values, seed, index: person })
        })
    };
    Some((0..population.len()).filter(fits).collect())
}

/// Returns whether a user belongs to a cohort. About one in `cohort mod 7 + 2` does.
fn is_member(seed: u64, cohort: u64, person: u64) -> bool {
    mix2(mix2(seed, cohort), person).is_multiple_of(cohort % 7 + 2)
}

/// Returns the number of cohort members without a profile: one for every ten with a profile, plus one. They exist only
/// with `include_all_users`; a `where` sees them as users without properties.
fn ids_without_profile(seed: u64, conditions: &Conditions, rows: Option<&[u64]>) -> u64 {
    if conditions.cohort.is_none() || !conditions.include_all_users || conditions.ids.is_some() {
        return 0;
    }
    let nothing = conditions.filter.as_ref().map_or(0, |filter| filter.property_names().len());
    let values = vec![None; nothing];
    let fit = conditions
        .filter
        .as_ref()
        .is_none_or(|filter| filter.matches(&Subject { values: &values, seed, index: u64::MAX }));
    if fit { rows.map_or(0, |rows| rows.len() as u64 / 10) + 1 } else { 0 }
}

fn distinct_ids(params: &Params) -> Result<Option<BTreeSet<String>>, String> {
    let one = params.get("distinct_id").map(|id| BTreeSet::from([id.to_owned()]));
    let many = match params.get("distinct_ids") {
        Some(text) => Some(text_list("distinct_ids", text)?.into_iter().collect::<BTreeSet<_>>()),
        None => None,
    };
    Ok(match (one, many) {
        (Some(one), Some(many)) => Some(&one & &many),
        (one, many) => one.or(many),
    })
}

/// Parses a JSON array of strings; numbers are converted to strings.
fn text_list(name: &str, text: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{name}: expected a JSON array of strings, got {text:?}");
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    let as_text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(wrong()),
    };
    values.into_iter().map(as_text).collect()
}

fn cohort(params: &Params) -> Result<Option<u64>, String> {
    let Some(text) = params.get("filter_by_cohort") else { return Ok(None) };
    let wrong = || format!("filter_by_cohort: expected {{\"id\": NUMBER}}, got {text:?}");
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let id = match value.get("id") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    id.map(Some).ok_or_else(wrong)
}

fn flag(params: &Params, name: &str) -> Result<Option<bool>, String> {
    match params.get(name).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => Err(format!("{name}: expected true or false, got {other:?}")),
    }
}

/// Parses the names of the behaviors.
fn behaviors(params: &Params) -> Result<BTreeSet<String>, String> {
    let Some(text) = params.get("behaviors") else { return Ok(BTreeSet::new()) };
    let wrong = || "behaviors: expected a JSON array of objects with name, window and event_selectors".to_owned();
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong);
    values.iter().map(name).collect()
}
