//! The users whose events are generated: those of the profiles.

use std::sync::Arc;

use crate::config::{ProfileSource, SimulatorConfig};
use crate::profiles::{Life, home, is_anonymous, push, push_distinct_id, push_json_text};
use crate::project_profiles::{population, reference};

/// How the ID of a user begins who is only known by a device.
const DEVICE: &[u8] = b"$device:";

/// The users, by index.
#[derive(Debug, Clone)]
pub(crate) struct People {
    seed: u64,
    reference: u64,
    ids: Ids,
}

#[derive(Debug, Clone)]
enum Ids {
    Generated(u64),
    /// As JSON text without quotes.
    Listed(Arc<[Box<[u8]>]>),
}

impl People {
    pub(super) fn new(config: &SimulatorConfig) -> Self {
        let ids = match &config.profiles {
            ProfileSource::Generated(count) => Ids::Generated(*count),
            ProfileSource::Records(_) => {
                let people = population(config);
                let ids = (0..people.len()).filter_map(|index| people.distinct_id(index));
                Ids::Listed(ids.map(|id| json_content(&id)).collect())
            }
        };
        Self { seed: config.seed, reference: reference(config), ids }
    }

    pub(super) fn len(&self) -> u64 {
        match &self.ids {
            Ids::Generated(count) => *count,
            Ids::Listed(ids) => ids.len() as u64,
        }
    }

    /// Returns the plan and the times of a user. Those of a record in a file are unknown, so they are generated.
    pub(super) fn life(&self, index: u64) -> Life {
        Life::of(self.seed, self.reference, index)
    }

    /// Returns the country code and the city of a user.
    pub(super) fn home(&self, index: u64) -> (&'static str, &'static str) {
        home(self.seed, index)
    }

    /// Returns whether a user is known by a device ID only.
    pub(super) fn is_anonymous(&self, index: u64) -> bool {
        match &self.ids {
            Ids::Generated(_) => is_anonymous(self.seed, index),
            Ids::Listed(ids) => ids[place(index)].starts_with(DEVICE),
        }
    }

    /// Writes the distinct ID of a user as JSON text without quotes.
    pub(super) fn push_id(&self, out: &mut Vec<u8>, index: u64) {
        match &self.ids {
            Ids::Generated(_) => push_distinct_id(out, self.seed, index),
            Ids::Listed(ids) => out.extend_from_slice(&ids[place(index)]),
        }
    }

    /// Writes the device ID of a user: that of the distinct ID if it is one.
    pub(super) fn push_device(&self, out: &mut Vec<u8>, index: u64, hash: u64) {
        if self.is_anonymous(index) {
            let start = out.len();
            self.push_id(out, index);
            out.drain(start..start + DEVICE.len());
        } else {
            crate::profiles::push_hex(out, hash, 12);
        }
    }

    /// Writes the distinct ID that a user has before the signup.
    pub(super) fn push_anonymous_id(&self, out: &mut Vec<u8>, index: u64, hash: u64) {
        push(out, "$device:");
        self.push_device(out, index, hash);
    }
}

fn place(index: u64) -> usize {
    usize::try_from(index).expect("an index below a length fits usize")
}

fn json_content(text: &str) -> Box<[u8]> {
    let mut out = Vec::new();
    push_json_text(&mut out, text);
    out[1..out.len() - 1].into()
}
