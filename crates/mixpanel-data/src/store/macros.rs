//! The macros that loads create in every database: `prop`, and table macros that analyze events. `docs/analysis.md`
//! defines their results. Any DuckDB client can use them.
//!
//! They read the table by its name when they are called (`query_table`), so they can be created before the table, and
//! survive it.

use duckdb::Connection;

use super::own_objects::{MacroKind, OwnMacro, Owner, ensure_own_macros, owners_of_macros, prop};
use crate::error::Result;

#[cfg(test)]
mod funnel_tests;
#[cfg(test)]
mod identities_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod users_tests;

/// A table macro: its name, its parameters, its query and its description.
struct Analysis {
    name: &'static str,
    parameters: &'static str,
    query: &'static str,
    comment: &'static str,
}

const ANALYSES: [Analysis; 7] = [
    Analysis {
        name: "mp_funnel",
        parameters: "steps, \"within\", source := 'events', from_date := NULL, to_date := NULL, \
                     grace := INTERVAL 2 SECOND",
        query: include_str!("macros/funnel.sql"),
        comment: "Users who reach each step: FROM mp_funnel(['Sign Up', 'Purchase'], INTERVAL 7 DAY)",
    },
    Analysis {
        name: "mp_retention",
        parameters: "born, return_event, unit := 'week', n := 8, mode := 'rolling', cohorts := 'first', \
                     source := 'events', from_date := NULL, to_date := NULL",
        query: include_str!("macros/retention.sql"),
        comment: "Users of each cohort who return: FROM mp_retention('Sign Up', 'Purchase', unit := 'week', n := 8)",
    },
    Analysis {
        name: "mp_active_users",
        parameters: "source := 'events'",
        query: include_str!("macros/active_users.sql"),
        comment: "Users of each day, of 7 days and of 30 days: FROM mp_active_users()",
    },
    Analysis {
        name: "mp_lifecycle",
        parameters: "unit := 'week', source := 'events'",
        query: include_str!("macros/lifecycle.sql"),
        comment: "New, retained, resurrected and dormant users: FROM mp_lifecycle(unit := 'week')",
    },
    Analysis {
        name: "mp_sessions",
        parameters: "gap := INTERVAL 30 MINUTE, at_midnight := true, excluded := ['$identify', '$create_alias', \
                     '$merge', '$hotshard_events', '$campaign_delivery', '$campaign_bounced', \
                     '$campaign_marked_spam', '$message_suppressed', '$unsubscribe', '$journey_entered'], \
                     source := 'events'",
        query: include_str!("macros/sessions.sql"),
        comment: "A row for each session: FROM mp_sessions(gap := INTERVAL 30 MINUTE)",
    },
    Analysis {
        name: "mp_identities",
        parameters: "source := 'events'",
        query: include_str!("macros/identities.sql"),
        comment: "The person to whom each distinct_id belongs, judged by the events: FROM mp_identities()",
    },
    Analysis {
        name: "mp_growth",
        parameters: "unit := 'week', source := 'events'",
        query: include_str!("macros/growth.sql"),
        comment: "Events, active, new and total users, and the quick ratio: FROM mp_growth(unit := 'week')",
    },
];

/// The functions of DuckDB that the queries call. They are called by their full names, because macros of the user could
/// have the same ones.
const FUNCTIONS: [&str; 35] = [
    "any_value",
    "arg_min",
    "count",
    "date_diff",
    "date_trunc",
    "epoch_us",
    "error",
    "first_value",
    "generate_series",
    "json_extract",
    "json_extract_string",
    "json_type",
    "lag",
    "lead",
    "least",
    "len",
    "list",
    "list_aggregate",
    "list_concat",
    "list_contains",
    "list_distinct",
    "list_filter",
    "list_position",
    "list_reduce",
    "list_sort",
    "list_transform",
    "make_timestamp",
    "max",
    "min",
    "query_table",
    "range",
    "round",
    "starts_with",
    "sum",
    "unnest",
];

/// Returns the names of the macros that loads do not create, because the user has one of that name.
///
/// # Errors
/// `Storage`.
pub(crate) fn taken_names(connection: &Connection) -> Result<Vec<&'static str>> {
    let own = own_macros();
    let names: Vec<&str> = own.iter().map(|own| own.name).collect();
    let owners = owners_of_macros(connection, &names)?;
    let is_taken = |own: &OwnMacro| owners.get(&(own.name.to_owned(), own.kind)) == Some(&Owner::User);
    Ok(own.into_iter().filter(is_taken).map(|own| own.name).collect())
}

/// Creates the macros, or brings those of an earlier version up to date. A user's own macros stay.
///
/// # Errors
/// `Storage`, `DiskFull`.
pub(crate) fn ensure_macros(connection: &Connection) -> Result<()> {
    ensure_own_macros(connection, &own_macros())
}

fn own_macros() -> Vec<OwnMacro> {
    let analyses = ANALYSES.iter().map(|analysis| OwnMacro {
        name: analysis.name,
        kind: MacroKind::Table,
        parameters: analysis.parameters,
        body: qualified(analysis.query),
        comment: analysis.comment,
    });
    std::iter::once(prop()).chain(analyses).collect()
}

/// Returns a query without its comments, in which every function of DuckDB is called by its full name.
fn qualified(query: &str) -> String {
    let mut result = String::with_capacity(query.len() * 2);
    for line in query.lines().filter(|line| !line.trim_start().starts_with("--")) {
        let mut rest = line;
        while let Some(end) = rest.find('(') {
            let (before, after) = rest.split_at(end + 1);
            let start = before[..end].rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
            let (text, name) = before[..end].split_at(start);
            result.push_str(text);
            if FUNCTIONS.contains(&name) {
                result.push_str("system.main.");
            }
            result.push_str(name);
            result.push('(');
            rest = after;
        }
        result.push_str(rest);
        result.push('\n');
    }
    result
}
