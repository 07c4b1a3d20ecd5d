//! When users are active: a function of the user and the day.

use super::calendar::weekday_factor;
use super::people::People;
use crate::hash::{mix, mix2};

/// Users whose `$last_seen` is more than this many seconds before the reference time have no events after it; all others
/// stay active.
const GONE: u64 = 120 * 86_400;
/// The maximum number of sessions of a user on a day.
const SESSIONS_MAX: u64 = 1_000;

/// The activity of a user on a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    /// At least 1.
    pub(super) sessions: u64,
    /// The hash of the user and the day.
    pub(super) hash: u64,
    /// The wall time of the signup in milliseconds, if it is on this day.
    pub(super) signup: Option<u64>,
    /// The percentage of such users that pay.
    pub(super) paying_percent: u64,
}

/// The users of a project on a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    pub(super) seed: u64,
    pub(super) day: u64,
    /// The reference time, in seconds since the epoch.
    pub(super) reference: u64,
    /// How far the wall clocks were ahead at the reference time, in seconds.
    pub(super) ahead: i64,
    /// In 65,536ths.
    pub(super) scale: u64,
}

impl Calendar {
    /// Returns the activity of a user, or `None` if there is none.
    pub(super) fn activity(&self, people: &People, index: u64) -> Option<Activity> {
        let life = people.life(index);
        let created = life.created.saturating_add_signed(self.ahead);
        let age = self.day.checked_sub(created / 86_400)?;
        if life.seen + GONE < self.reference && self.day > life.seen.saturating_add_signed(self.ahead) / 86_400 {
            return None;
        }
        let user = mix(self.seed ^ mix(index ^ 0xE7E7));
        let hash = mix2(user, self.day);
        let is_signup = age == 0 && self.scale > 0;
        // Most users are active rarely, and some nearly every day.
        let eagerness = 24_000 + (user & 0xFFFF) * 83_000 / 65_536;
        let chance = ((life.plan.activity * eagerness) >> 16) * interest(age) / 256 * weekday_factor(self.day) / 256;
        let is_active = hash >> 48 < (chance.min(60_000) * self.scale.min(1 << 16)) >> 16;
        if !is_active && !is_signup {
            return None;
        }
        let sessions = 1 + u64::from(hash & 3 == 0) + u64::from(hash & 31 == 0);
        Some(Activity {
            sessions: scaled(sessions, self.scale, mix(hash)),
            hash,
            signup: is_signup.then_some(created * 1_000),
            paying_percent: life.plan.paying_percent,
        })
    }
}

/// Returns how much a user still uses the product this many days after the signup, in 256ths.
fn interest(age: u64) -> u64 {
    match age {
        0..7 => 560,
        7..14 => 380,
        14..28 => 300,
        28..56 => 240,
        56..182 => 190,
        182..365 => 150,
        _ => 130,
    }
}

fn scaled(sessions: u64, scale: u64, random: u64) -> u64 {
    if scale <= 1 << 16 {
        return sessions;
    }
    // Rounded up or down at random.
    ((sessions.saturating_mul(scale) + (random & 0xFFFF)) >> 16).clamp(1, SESSIONS_MAX)
}
