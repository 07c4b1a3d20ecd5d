//! Encodes a query's filters as the form that every engage page request sends
//! (`docs/mixpanel-api.md#engage-request`).

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::limits::{DISTINCT_IDS_MAX, PAGE_SIZE_MAX};
use crate::profile_query::{IncludeUsers, ProfileQuery};
use crate::text::printable;

use super::endpoint::Endpoint;
use super::transport::Request;

/// A validated query as form fields. Every page request sends the same fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngageForm {
    fields: Vec<(&'static str, String)>,
    /// Whether the query selects an empty list of IDs, so that there is nothing to request.
    pub(crate) is_empty: bool,
}

impl EngageForm {
    /// Validates a query and converts it to form fields. `now`, in seconds since 1970, is the end of the `behaviors`
    /// windows unless the query sets `as_of_timestamp`.
    ///
    /// # Errors
    /// `InvalidInput` that names the option and the rule. Nothing has been sent.
    pub(crate) fn new(query: &ProfileQuery, now: i64) -> Result<Self> {
        check_exclusions(query)?;
        let mut fields = Vec::new();
        let mut is_empty = false;
        let expression = non_blank(query.where_.as_deref(), "where")?;
        if let Some(expression) = with_since(expression, query.since.as_deref()) {
            fields.push(("where", expression));
        }
        if let Some(cohort) = query.cohort_id.as_deref() {
            let all = query.include_all_users == IncludeUsers::All;
            fields.push(("filter_by_cohort", json!({ "id": cohort_number(cohort)? }).to_string()));
            fields.push(("include_all_users", all.to_string()));
        }
        if let Some(names) = &query.output_properties {
            if names.is_empty() {
                return Err(Error::invalid("output properties: give at least one name"));
            }
            fields.push(("output_properties", json!(names).to_string()));
        }
        // An unset variable in a script results in an empty ID, which a server may treat as no filter.
        if let Some(id) = non_blank(query.distinct_id.as_deref(), "distinct id")? {
            fields.push(("distinct_id", id.to_owned()));
        }
        if let Some(ids) = &query.distinct_ids {
            if ids.iter().any(|id| id.trim().is_empty()) {
                return Err(Error::invalid("one of the distinct ids is empty"));
            }
            let unique = unique_ids(ids);
            if unique.len() > DISTINCT_IDS_MAX {
                return Err(Error::invalid(format!("{} distinct ids: use at most {DISTINCT_IDS_MAX}", unique.len())));
            }
            is_empty = unique.is_empty();
            fields.push(("distinct_ids", json!(unique).to_string()));
        }
        if let Some(group) = non_blank(query.group_id.as_deref(), "group id")? {
            fields.push(("data_group_id", group.to_owned()));
        }
        if let Some(behaviors) = &query.behaviors {
            fields.push(("behaviors", check_behaviors(behaviors)?));
            // Without it, the server rejects pages after the first (`docs/mixpanel-api.md#engage-request`).
            fields.push(("as_of_timestamp", query.as_of_timestamp.unwrap_or(now).to_string()));
        } else if let Some(moment) = query.as_of_timestamp {
            fields.push(("as_of_timestamp", moment.to_string()));
        }
        if query.as_of_timestamp.is_some_and(|moment| moment > now || moment < 0) {
            return Err(Error::invalid("as-of timestamp: use a time in the past, in seconds since 1970"));
        }
        if let Some(size) = query.page_size {
            if !(1..=PAGE_SIZE_MAX).contains(&size) {
                return Err(Error::invalid(format!("page size {size}: use 1 to {PAGE_SIZE_MAX}")));
            }
            fields.push(("page_size", size.to_string()));
        }
        Ok(Self { fields, is_empty })
    }

    /// Returns the request for one page.
    pub(super) fn request(&self, page: u32, session: Option<&str>) -> Request {
        Request {
            endpoint: Endpoint::Engage,
            query: Vec::new(),
            form: Some(self.form(page, session)),
            page: Some(page),
            has_session: session.is_some(),
        }
    }

    /// Returns the form fields of one page request.
    pub(crate) fn form(&self, page: u32, session: Option<&str>) -> Vec<(&'static str, String)> {
        let mut form = vec![("page", page.to_string())];
        form.extend(session.map(|session| ("session_id", session.to_owned())));
        form.extend(self.fields.iter().cloned());
        form
    }
}

/// Restricts the filter to profiles whose `$last_seen` is not before `since`. The API compares `$last_seen` as text
/// (`docs/mixpanel-api.md#engage-request`).
fn with_since(expression: Option<&str>, since: Option<&str>) -> Option<String> {
    let Some(since) = since else { return expression.map(str::to_owned) };
    let seen = format!(r#"properties["$last_seen"] >= {}"#, json!(since));
    Some(expression.map_or_else(|| seen.clone(), |expression| format!("({expression}) and {seen}")))
}

fn check_exclusions(query: &ProfileQuery) -> Result<()> {
    let rules = [
        (
            query.distinct_id.is_some() && query.distinct_ids.is_some(),
            "distinct id and distinct ids cannot be combined",
        ),
        (query.cohort_id.is_some() && query.behaviors.is_some(), "cohort and behaviors cannot be combined"),
        (
            query.behaviors.is_some() && query.where_.is_none(),
            r#"behaviors require a where expression that uses them, such as (behaviors["name"] > 0)"#,
        ),
        (
            query.include_all_users == IncludeUsers::All && query.cohort_id.is_none(),
            "include all users requires a cohort",
        ),
    ];
    match rules.into_iter().find(|(broken, _)| *broken) {
        Some((_, message)) => Err(Error::invalid(message)),
        None => Ok(()),
    }
}

fn non_blank<'a>(text: Option<&'a str>, name: &str) -> Result<Option<&'a str>> {
    match text {
        Some(text) if text.trim().is_empty() => Err(Error::invalid(format!("the {name} is empty"))),
        other => Ok(other),
    }
}

fn cohort_number(cohort: &str) -> Result<u64> {
    cohort.trim().parse().map_err(|_| {
        Error::invalid(format!("cohort `{}`: use the number of a saved cohort, as shown in its URL", printable(cohort)))
    })
}

/// Removes duplicate IDs, keeping the order.
fn unique_ids(ids: &[String]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    ids.iter().map(String::as_str).filter(|id| seen.insert(*id)).collect()
}

/// Checks that `behaviors` has the documented structure, and returns the text unchanged.
fn check_behaviors(text: &str) -> Result<String> {
    let shape = "behaviors: expected a JSON array of objects with `window`, `name` and `event_selectors` (an array)";
    let value: Value = serde_json::from_str(text).map_err(|error| Error::invalid(shape).with_source(error))?;
    let behaviors = value.as_array().filter(|list| !list.is_empty()).ok_or_else(|| Error::invalid(shape))?;
    let good = behaviors.iter().all(|behavior| {
        behavior.get("window").is_some()
            && behavior.get("name").is_some_and(Value::is_string)
            && behavior.get("event_selectors").is_some_and(Value::is_array)
    });
    if good { Ok(text.to_owned()) } else { Err(Error::invalid(shape)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BEHAVIORS: &str = r#"[{"window":"30d","name":"b","event_selectors":[{"event":"Buy"}]}]"#;

    fn form(query: &ProfileQuery) -> String {
        let fields = EngageForm::new(query, NOW).unwrap().form(3, Some("S"));
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn writes_every_filter() {
        let query = ProfileQuery {
            where_: Some(r#"properties["a"] == 1"#.into()),
            cohort_id: Some("42".into()),
            output_properties: Some(vec!["$email".into(), "a,b".into()]),
            distinct_ids: Some(vec!["x".into(), "y".into(), "x".into()]),
            group_id: Some("-1405123841946871899".into()),
            page_size: Some(500),
            ..ProfileQuery::default()
        };
        assert_eq!(
            form(&query),
            r#"page=3&session_id=S&where=properties["a"] == 1&filter_by_cohort={"id":42}&include_all_users=false&output_properties=["$email","a,b"]&distinct_ids=["x","y"]&data_group_id=-1405123841946871899&page_size=500"#
        );
        let query = ProfileQuery {
            where_: Some("w".into()),
            behaviors: Some(BEHAVIORS.into()),
            distinct_id: Some("x".into()),
            ..ProfileQuery::default()
        };
        assert_eq!(
            form(&query),
            format!("page=3&session_id=S&where=w&distinct_id=x&behaviors={BEHAVIORS}&as_of_timestamp={NOW}")
        );
    }

    fn many(ids: usize) -> Vec<String> {
        (0..ids).map(|id| id.to_string()).collect()
    }

    #[test]
    fn repeated_ids_do_not_count() {
        let ids = [many(DISTINCT_IDS_MAX), many(2)].concat();
        assert!(EngageForm::new(&ProfileQuery { distinct_ids: Some(ids), ..ProfileQuery::default() }, NOW).is_ok());
    }

    #[test]
    fn an_empty_list_of_ids_asks_for_nothing() {
        let query = ProfileQuery { distinct_ids: Some(vec![]), ..ProfileQuery::default() };
        assert!(EngageForm::new(&query, NOW).unwrap().is_empty);
    }

    #[test]
    fn refuses_queries_that_the_server_would_charge_for_and_refuse() {
        let some = |text: &str| Some(text.to_owned());
        for (query, part) in [
            (ProfileQuery { distinct_id: some("a"), distinct_ids: Some(vec![]), ..Default::default() }, "be combined"),
            (
                ProfileQuery {
                    cohort_id: some("1"),
                    behaviors: some(BEHAVIORS),
                    where_: some("w"),
                    ..Default::default()
                },
                "be combined",
            ),
            (ProfileQuery { behaviors: some(BEHAVIORS), ..Default::default() }, "where"),
            (ProfileQuery { behaviors: some("{}"), where_: some("w"), ..Default::default() }, "JSON array"),
            (ProfileQuery { behaviors: some(r#"[{"name":"b"}]"#), where_: some("w"), ..Default::default() }, "window"),
            (ProfileQuery { include_all_users: IncludeUsers::All, ..Default::default() }, "cohort"),
            (ProfileQuery { as_of_timestamp: Some(NOW + 1), ..Default::default() }, "past"),
            (ProfileQuery { cohort_id: some("all"), ..Default::default() }, "number"),
            (ProfileQuery { page_size: Some(0), ..Default::default() }, "40000"),
            (ProfileQuery { page_size: Some(40_001), ..Default::default() }, "40000"),
            (ProfileQuery { output_properties: Some(vec![]), ..Default::default() }, "at least one"),
            (ProfileQuery { where_: some("  "), ..Default::default() }, "empty"),
            (ProfileQuery { distinct_id: some(""), ..Default::default() }, "empty"),
            (ProfileQuery { distinct_ids: Some(vec!["a".into(), String::new()]), ..Default::default() }, "empty"),
            (ProfileQuery { distinct_ids: Some(many(DISTINCT_IDS_MAX + 1)), ..Default::default() }, "at most 20000"),
        ] {
            let error = EngageForm::new(&query, NOW).unwrap_err();
            assert!(error.message().contains(part), "{query:?}: {error}");
        }
    }
}
