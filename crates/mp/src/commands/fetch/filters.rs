//! Converts the filter options into a query.

use mixpanel_data::{IncludeUsers, ProfileQuery};

use super::ids::ids;
use crate::cli::FilterArgs;
use crate::commands::lists::split_lists;
use crate::context::Context;
use crate::failure::Failure;

/// Builds a query from the filters. Ids may come from a file or standard input.
pub(super) fn query(context: &Context, filters: &FilterArgs) -> Result<ProfileQuery, Failure> {
    let lists = &filters.output_properties;
    let properties = split_lists("--output-properties", lists, "property", "leave it out to fetch all")?;
    let distinct_ids = match &filters.distinct_ids[..] {
        [] => None,
        values => Some(ids(context, values)?),
    };
    Ok(ProfileQuery {
        where_: filters.filter.clone(),
        cohort_id: filters.cohort.clone(),
        output_properties: (!properties.is_empty()).then_some(properties),
        distinct_id: filters.distinct_id.clone(),
        distinct_ids,
        group_id: filters.group_id.clone(),
        behaviors: filters.behaviors.clone(),
        as_of_timestamp: filters.as_of_timestamp,
        include_all_users: if filters.include_all_users { IncludeUsers::All } else { IncludeUsers::WithProfile },
        page_size: None,
        since: None,
        limit: None,
    })
}

/// Builds a query from the filters, if there are any.
pub(super) fn query_if_given(context: &Context, filters: &FilterArgs) -> Result<Option<ProfileQuery>, Failure> {
    let query = query(context, filters)?;
    Ok((query != ProfileQuery::default()).then_some(query))
}
