//! The properties that have a meaning of their own.

use super::object::is_key;

/// What a property means to the parser. Each dataset uses its own ones and ignores the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Other,
    /// When a profile was last updated.
    LastSeen,
    /// When an event happened.
    Time,
    /// The id of an event's user.
    DistinctId,
    InsertId,
    /// When the API received an event, in milliseconds since 1970.
    ApiTime,
    /// When Mixpanel processed an event, in milliseconds since 1970.
    ProcessingTime,
}

const NAMES: [(&str, Role); 6] = [
    ("$last_seen", Role::LastSeen),
    ("time", Role::Time),
    ("distinct_id", Role::DistinctId),
    ("$insert_id", Role::InsertId),
    ("$mp_api_timestamp_ms", Role::ApiTime),
    ("mp_processing_time_ms", Role::ProcessingTime),
];

impl Role {
    /// Returns the role of the property with this name.
    pub(super) fn of(name: &str) -> Self {
        NAMES.iter().find(|(known, _)| *known == name).map_or(Self::Other, |(_, role)| *role)
    }

    /// Returns the role of the property with this key as received, with its quotes.
    #[cold]
    pub(super) fn of_key(key: &str) -> Self {
        NAMES.iter().find(|(name, _)| is_key(key, name)).map_or(Self::Other, |(_, role)| *role)
    }
}
