//! Checks that a table has rows of the same property rules as those that a fetch adds to it.

use std::path::Path;

use crate::error::Result;
use crate::load;
use crate::profile_query::IfExists;
use crate::property_rules::PropertyRules;
use crate::store::TableName;

use super::request::Control;
use super::waiting::waiting;

/// Checks that the rows of an existing table were loaded with the same rules, unless the fetch adds none to it: with
/// other rules, the table would have values that the caller wants to drop, or hashes that match nothing.
///
/// # Errors
/// `InvalidInput` that names the first difference, and the errors of opening a database for reading.
pub(super) async fn check_same_rules(
    control: &mut Control,
    database: &Path,
    table: &TableName,
    if_exists: IfExists,
    rules: &PropertyRules,
) -> Result<()> {
    if !matches!(if_exists, IfExists::Append | IfExists::Upsert) {
        return Ok(());
    }
    let (path, name) = (database.to_owned(), table.clone());
    let look = move |()| ((), load::rules_of_table(&path, &name));
    let ((), loaded) = waiting(control, control.options.preflight_wait(), (), look).await?;
    loaded.map_or(Ok(()), |loaded| loaded.check_same(rules, table.as_str()))
}
