//! The parameters of an export.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::event_options::TimeUnit;
use crate::events::{Selection, WrittenTime};
use crate::filter::Filter;
use crate::params::Params;

/// The documented maximum of `limit`.
const LIMIT_MAX: u64 = 100_000;

/// A valid request.
#[derive(Debug)]
pub(super) struct ExportRequest {
    pub(super) from: Date,
    pub(super) to: Date,
    pub(super) selection: Selection,
}

impl ExportRequest {
    /// Checks the parameters. `today` is the project's.
    ///
    /// The texts for a date in the future, a year before 2000 and a bare string as `event` are known from other
    /// endpoints or old reports; the rest are assumptions.
    ///
    /// # Errors
    ///
    /// Returns the text of a response with status 400.
    pub(super) fn read(params: &Params, today: Date, unit: TimeUnit) -> Result<Self, String> {
        let (from, to) = dates(params)?;
        if to > today {
            return Err("to_date cannot be later than today".to_owned());
        }
        let limit = match params.get("limit").map(str::parse::<u64>) {
            None => u64::MAX,
            Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
            Some(_) => return Err(format!("limit: expected a whole number from 1 to {LIMIT_MAX}")),
        };
        let in_ms = params.get("time_in_ms").is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        let time =
            if in_ms && unit == TimeUnit::AsRequested { WrittenTime::Milliseconds } else { WrittenTime::Seconds };
        let filter = params.get("where").map(|text| Filter::parse(text, &BTreeSet::new())).transpose()?.map(Arc::new);
        let names = params.get("event").map(events).transpose()?;
        Ok(Self { from, to, selection: Selection { names, filter, limit, time } })
    }
}

/// Reads `from_date` and `to_date`.
///
/// # Errors
///
/// Returns the text of a response with status 400.
pub(crate) fn dates(params: &Params) -> Result<(Date, Date), String> {
    let (from, to) = (date(params, "from_date")?, date(params, "to_date")?);
    if from > to { Err("from_date cannot be later than to_date".to_owned()) } else { Ok((from, to)) }
}

fn date(params: &Params, name: &str) -> Result<Date, String> {
    let text = params.get(name).ok_or_else(|| format!("{name} is a required parameter"))?;
    let is_complete = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|_| is_complete);
    match date.ok_or_else(|| format!("Error in {name}: invalid date: {text:?}"))? {
        date if date.year() < 2_000 => Err(format!("Error in {name}: invalid date, bad year")),
        date => Ok(date),
    }
}

/// Reads a list of event names, which is a JSON array even if it has one element.
///
/// # Errors
///
/// Returns the text of a response with status 400.
pub(crate) fn events(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|_| format!("Error in event selectors: invalid string: {text}"))
}
