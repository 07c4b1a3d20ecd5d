//! The SQL that reads the rows of a batch of days, and the times that delimit days.

use jiff::civil::Date;

use super::super::staged::{Extra, read_parquet};
use super::batches::Batch;
use super::slices::StagedSlice;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::event_query::Dedupe;
use crate::project_time_zone::ProjectTimeZone;

/// What the fate of a row says that is not stored as it was staged: a `duplicate` of another staged row; `known`, because
/// the table keeps its own row; or `renamed`, with another insert id.
pub(super) const CREATE_FATES: &str = "CREATE TEMP TABLE _fates (
    _part INTEGER, _row BIGINT, fate VARCHAR, insert_id VARCHAR, staged UBIGINT, stored UBIGINT, conflicts BOOLEAN)";

/// The rows of a batch.
pub(super) struct Source<'a> {
    pub(super) dataset: &'static Dataset,
    /// A subquery for the staged rows, with their place in the stage: `_part` and `_row`.
    rows: String,
    /// The paths of the slices.
    pub(super) slices: Vec<&'a StagedSlice>,
    pub(super) days: (Date, Date),
    pub(super) dedupe: Dedupe,
    /// Whether rows have a different insert id or are left out, as listed in `_fates`.
    pub(super) has_fates: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        dataset: &'static Dataset,
        slices: &'a [StagedSlice],
        batch: &Batch,
        dedupe: Dedupe,
    ) -> Result<Self> {
        let mut parts = Vec::new();
        for place in &batch.slices {
            let slice = &slices[*place];
            let has_others = slice.days.iter().any(|day| day.rows > 0 && !batch.days.contains(&day.day));
            let condition = if has_others { format!(" WHERE {}", is_one_of(&batch.days)) } else { String::new() };
            let rows = read_parquet(std::slice::from_ref(&slice.path), Extra::RowNumber)?;
            parts.push(format!(
                "SELECT {place}::INTEGER AS _part, file_row_number AS _row, {}, _ingested, _day FROM {rows}{condition}",
                dataset.names()
            ));
        }
        Ok(Self {
            dataset,
            rows: format!("({})", parts.join(" UNION ALL ")),
            slices: batch.slices.iter().map(|place| &slices[*place]).collect(),
            days: batch.range(),
            dedupe,
            has_fates: false,
        })
    }

    /// Returns the staged rows as the relation `b`.
    pub(super) fn staged(&self) -> String {
        format!("{} AS b", self.rows)
    }

    /// Returns the rows to store as the relation `b`, with their final insert ids.
    pub(super) fn stored(&self) -> String {
        if !self.has_fates {
            return self.staged();
        }
        format!(
            "(SELECT b.* REPLACE (coalesce(d.insert_id, b.insert_id) AS insert_id), b.insert_id AS _received
              FROM {} LEFT JOIN _fates AS d ON d._part = b._part AND d._row = b._row
              WHERE d.fate IS NULL OR d.fate = 'renamed') AS b",
            self.staged()
        )
    }

    /// Returns the SQL expression for the hash of a row of [`stored`](Self::stored) as it was staged.
    pub(super) fn staged_hash(&self) -> String {
        if self.has_fates { self.hash_with_id("b._received") } else { self.dataset.row_hash("b") }
    }

    /// Returns the SQL expression for the hash of a row of `b` with this insert id.
    pub(super) fn hash_with_id(&self, id: &str) -> String {
        self.dataset.row_hash("b").replace("b.insert_id", id)
    }

    /// Returns the columns in which rows of one identity are equal, as an SQL list.
    pub(super) fn key(&self) -> &'static str {
        match self.dedupe {
            Dedupe::Exact | Dedupe::None => "b.event_name, b.distinct_id, b.event_time, b.insert_id",
            Dedupe::Day => "b.event_name, b.distinct_id, b._day, b.insert_id",
        }
    }

    /// Returns the times of the table's rows that can have the same identity.
    pub(super) fn times(&self, zone: &ProjectTimeZone, table: &str) -> String {
        is_between(zone, table, self.days)
    }
}

/// Returns the SQL condition for staged rows of these days.
fn is_one_of(days: &[Date]) -> String {
    let (first, last) = (days[0], days[days.len() - 1]);
    let span = first.until(last).map_or(0, |span| span.get_days());
    if usize::try_from(span).is_ok_and(|span| span + 1 == days.len()) {
        return format!("_day BETWEEN DATE '{first}' AND DATE '{last}'");
    }
    let days: Vec<String> = days.iter().map(|day| format!("DATE '{day}'")).collect();
    format!("_day IN ({})", days.join(", "))
}

/// Returns the SQL condition for rows of `table` on these days of the project.
pub(super) fn is_between(zone: &ProjectTimeZone, table: &str, (first, last): (Date, Date)) -> String {
    let from = time(zone.day_start_utc(first));
    match last.tomorrow() {
        Ok(next) => {
            format!("{table}.event_time >= {from} AND {table}.event_time < {}", time(zone.day_start_utc(next)))
        }
        Err(_) => format!("{table}.event_time >= {from}"),
    }
}

/// Returns an SQL expression for a time.
pub(super) fn time(at: jiff::Timestamp) -> String {
    format!("system.main.make_timestamp({}::BIGINT)", at.as_microsecond())
}
