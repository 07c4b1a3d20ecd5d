//! Statistics about the properties of an event.

use std::path::Path;

use super::{deviation, first, float, number, percent, rows, select, total};
use crate::error::{Error, Result};
use crate::limits::PERCENTILES;
use crate::statistics::{
    DayRange, NumericPropertySummaryResult, PropertyCoverage, PropertyCoverageResult, PropertyDistributionResult,
    PropertyValueCount,
};
use crate::store::own_objects::pointer;

/// Counts the events in which each property has a value.
pub(crate) fn property_coverage(
    path: &Path,
    name: &str,
    event: &str,
    properties: &[String],
    days: &DayRange,
) -> Result<PropertyCoverageResult> {
    let selected = select(path, name, days, &[event.to_owned()])?;
    let counts = properties.iter().map(|property| {
        format!(
            ", system.main.count(*) FILTER (coalesce(system.main.json_type(properties, {}), 'NULL') <> 'NULL')",
            pointer(property)
        )
    });
    let sql = format!(
        "SELECT system.main.count(*){} FROM {} WHERE {}",
        counts.collect::<String>(),
        selected.table.quoted(),
        selected.condition
    );
    let found = first(rows(path, &sql)?);
    let total_events = number(found.first());
    let coverage = properties.iter().zip(found.iter().skip(1)).map(|(property, count)| {
        let defined_count = number(Some(count));
        PropertyCoverage {
            property: property.clone(),
            defined_count,
            null_count: total_events - defined_count,
            coverage_percentage: percent(defined_count, total_events),
        }
    });
    Ok(PropertyCoverageResult {
        event: event.to_owned(),
        from_date: selected.days.from,
        to_date: selected.days.to,
        total_events,
        coverage: coverage.collect(),
    })
}

/// Returns the most frequent values of a property.
pub(crate) fn property_distribution(
    path: &Path,
    name: &str,
    event: &str,
    property: &str,
    days: &DayRange,
    limit: u32,
) -> Result<PropertyDistributionResult> {
    let selected = select(path, name, days, &[event.to_owned()])?;
    // A missing property and null are the same value.
    let sql = format!(
        "SELECT coalesce(system.main.json_extract(properties, {pointer}), 'null'::JSON) AS value,
                system.main.count(*) AS events, (system.main.sum(system.main.count(*)) OVER ())::BIGINT AS total
         FROM {} WHERE {} GROUP BY value ORDER BY events DESC, value::VARCHAR LIMIT {limit}",
        selected.table.quoted(),
        selected.condition,
        pointer = pointer(property),
    );
    let found = rows(path, &sql)?;
    let total_count = found.first().map(|row| number(row.get(2))).unwrap_or_default();
    let values = found.into_iter().map(|row| {
        let count = number(row.get(1));
        let value = row.into_iter().next().unwrap_or_default();
        PropertyValueCount { value, count, percentage: percent(count, total_count) }
    });
    Ok(PropertyDistributionResult {
        event: event.to_owned(),
        property_name: property.to_owned(),
        from_date: selected.days.from,
        to_date: selected.days.to,
        total_count,
        values: values.collect(),
    })
}

/// Summarizes the numbers of a property. No percentiles are the default ones.
pub(crate) fn numeric_summary(
    path: &Path,
    name: &str,
    event: &str,
    property: &str,
    days: &DayRange,
    percentiles: &[f64],
) -> Result<NumericPropertySummaryResult> {
    let percentiles = if percentiles.is_empty() { &PERCENTILES[..] } else { percentiles };
    if percentiles.iter().any(|percentile| !(0.0..=100.0).contains(percentile)) {
        return Err(Error::invalid("invalid percentiles: use numbers from 0 to 100"));
    }
    let selected = select(path, name, days, &[event.to_owned()])?;
    let quantile = |percentile: &f64| format!(", system.main.quantile_cont(x, {})", percentile / 100.0);
    let quantiles = percentiles.iter().map(quantile);
    let sql = format!(
        "SELECT system.main.count(x), system.main.min(x), system.main.max(x), {}, {}, {}{} FROM (
             SELECT CASE WHEN system.main.json_type(properties, {pointer})
                             IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT')
                    THEN system.main.json_extract_string(properties, {pointer})::DOUBLE END AS x FROM {} WHERE {})",
        total("sum", "x"),
        total("avg", "x"),
        deviation("stddev_pop", "x"),
        quantiles.collect::<String>(),
        selected.table.quoted(),
        selected.condition,
        pointer = pointer(property),
    );
    let found = first(rows(path, &sql)?);
    let value = |position: usize| float(found.get(position));
    Ok(NumericPropertySummaryResult {
        event: event.to_owned(),
        property_name: property.to_owned(),
        from_date: selected.days.from,
        to_date: selected.days.to,
        count: number(found.first()),
        min: value(1),
        max: value(2),
        sum: value(3),
        avg: value(4),
        stddev: value(5),
        percentiles: percentiles
            .iter()
            .enumerate()
            .map(|(at, percentile)| (percentile.to_string(), value(6 + at)))
            .collect(),
    })
}
