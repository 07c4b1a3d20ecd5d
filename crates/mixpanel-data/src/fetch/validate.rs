//! Validates a fetch before the first request, in the same way for both modes.

use std::sync::Arc;

use crate::api::EngageForm;
use crate::error::{Error, Result};
use crate::limits::{BATCH_SIZE_RANGE, WORKERS_MAX};
use crate::profile_query::{FetchMode, ProfileQuery};
use crate::property_rules::ActiveRules;
use crate::warning::Warning;

use super::options::RunOptions;

/// The validated arguments of a fetch.
#[derive(Debug)]
pub(super) struct Validated {
    /// The form that is sent for every page.
    pub(super) request: EngageForm,
    /// The query as it is sent.
    pub(super) query: ProfileQuery,
    /// Maximum number of requests in flight.
    pub(super) workers: u32,
    /// A warning for the caller, if any.
    pub(super) warning: Option<Warning>,
    /// Which properties to drop or hash.
    pub(super) rules: Option<Arc<ActiveRules>>,
}

/// Validates all arguments except the table and the rules for properties. `now` is in seconds since the Unix epoch.
///
/// # Errors
/// `InvalidInput` that names the argument and the rule.
pub(super) fn validate(
    query: &ProfileQuery,
    mode: FetchMode,
    batch_size: Option<u32>,
    options: &RunOptions,
    now: i64,
) -> Result<Validated> {
    if let Some(rows) = batch_size.filter(|rows| !BATCH_SIZE_RANGE.contains(rows)) {
        let (least, most) = (BATCH_SIZE_RANGE.start(), BATCH_SIZE_RANGE.end());
        return Err(Error::invalid(format!("batch size {rows}: use {least} to {most}")));
    }
    if query.limit == Some(0) {
        return Err(Error::invalid("a limit of 0 profiles: use at least 1"));
    }
    options.check()?;
    let (workers, warning) = match mode {
        FetchMode::Sequential => (1, None),
        FetchMode::Parallel { max_workers: None } => (WORKERS_MAX, None),
        FetchMode::Parallel { max_workers: Some(0) } => {
            return Err(Error::invalid(format!("0 workers: use 1 to {WORKERS_MAX}")));
        }
        FetchMode::Parallel { max_workers: Some(asked) } if asked > WORKERS_MAX => {
            (WORKERS_MAX, Some(Warning::TooManyWorkers { requested: asked }))
        }
        FetchMode::Parallel { max_workers: Some(asked) } => (asked, None),
    };
    let request = EngageForm::new(query, now)?;
    let mut query = query.clone();
    if query.behaviors.is_some() {
        query.as_of_timestamp.get_or_insert(now);
    }
    Ok(Validated { request, query, workers, warning, rules: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: FetchMode) -> Result<Validated> {
        validate(&ProfileQuery::default(), mode, None, &RunOptions::new(), 0)
    }

    #[test]
    fn workers_are_capped_with_a_warning_and_zero_is_refused() {
        let check = |mode| of(mode).map(|valid| (valid.workers, valid.warning.is_some()));
        let parallel = |max_workers| FetchMode::Parallel { max_workers };
        assert_eq!(check(FetchMode::Sequential).unwrap(), (1, false));
        assert_eq!(check(parallel(None)).unwrap(), (5, false));
        assert_eq!(check(parallel(Some(3))).unwrap(), (3, false));
        assert_eq!(check(parallel(Some(10))).unwrap(), (5, true));
        assert!(check(parallel(Some(0))).is_err());
    }

    #[test]
    fn behaviors_get_one_timestamp_for_the_whole_run() {
        let query = ProfileQuery {
            where_: Some("w".into()),
            behaviors: Some(r#"[{"window":"1d","name":"b","event_selectors":[]}]"#.into()),
            ..ProfileQuery::default()
        };
        let valid = validate(&query, FetchMode::Sequential, None, &RunOptions::new(), 77).unwrap();
        assert_eq!(valid.query.as_of_timestamp, Some(77));
    }

    #[test]
    fn the_batch_size_has_a_range() {
        let query = ProfileQuery::default();
        for (rows, good) in [(99, false), (100, true), (100_000, true), (100_001, false)] {
            let valid = validate(&query, FetchMode::Sequential, Some(rows), &RunOptions::new(), 0);
            assert_eq!(valid.is_ok(), good, "{rows}");
        }
    }
}
