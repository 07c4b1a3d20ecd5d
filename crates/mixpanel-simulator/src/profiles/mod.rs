//! The profiles of the simulated project: generated users and groups, records from a file, odd records and copies.
//!
//! Generated profiles are not stored: profile `i` is a pure function of the seed and `i`, so ten million profiles take
//! no more memory than ten.

mod activity;
mod copies;
mod group;
mod jsonl;
mod odd;
mod person;
mod population;
mod record;
mod tables;
mod write;

pub(crate) use activity::Visits;
pub use copies::{CopyChange, ProfileCopy};
pub use jsonl::{Records, RecordsError};
pub use odd::OddProfile;
pub(crate) use person::{Life, SIGNUP_DAYS, home, is_anonymous, push_distinct_id};
pub(crate) use population::Population;
pub(crate) use record::{RecordView, pick_properties, push_projection};
pub(crate) use tables::DEVICES;
pub(crate) use write::{push, push_hex, push_hundredths, push_json_text, push_number, push_time};
