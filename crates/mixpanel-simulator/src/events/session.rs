//! The sessions of a user on a day, and what happens in them.

use super::activity::{Activity, Calendar};
use super::calendar::{DAY_MS, time_of_day, to_utc, to_wall};
use super::kind::Kind;
use super::state::{DataState, Project};
use crate::hash::{Sequence, below, chance, mix, mix2};

/// How late a session from an offline device arrives at most: five days.
const LATE_MAX_MS: u64 = 5 * DAY_MS;

/// The latest time of day of a signup, so that the whole signup is on that day.
const SIGNUP_LATEST: u64 = DAY_MS - 600_000;

/// The first transmission of a row, or a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    First,
    /// Byte for byte the same.
    Again,
    /// Received later, with another property.
    AgainChanged,
}

/// One event of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// The wall time in milliseconds.
    pub(super) time: u64,
    /// The time in milliseconds since the epoch at which the event was received.
    pub(super) received: u64,
    pub(super) hash: u64,
    pub(super) is_before_signup: bool,
}

/// Whose ID the rows of a session have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// The user's.
    User,
    /// The user's, with a note that the device's came first.
    Resolved,
    /// The device's.
    Device,
}

impl Session {
    /// Returns the hash of the device. Each user has two, and uses the first most of the time.
    pub(super) fn device(&self) -> u64 {
        mix(self.index ^ (0xDE1C_E000 + u64::from(self.hash >> 60 == 0)))
    }

    /// Returns whose ID a row has.
    pub(super) fn identity_of(&self, step: &Step) -> Identity {
        if step.is_before_signup { self.before_signup } else { self.identity }
    }
}

/// A session; its rows are the steps that exist in the state of the data.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) index: u64,
    pub(super) hash: u64,
    pub(super) steps: Vec<Step>,
    pub(super) sending: Sending,
    pub(super) has_insert_ids: bool,
    /// The identity of the steps before the signup.
    pub(super) before_signup: Identity,
    /// The identity of the other steps.
    pub(super) identity: Identity,
}

/// The events of a project on a day.
#[derive(Debug)]
pub(super) struct DayPlan<'a> {
    project: &'a Project,
    calendar: Calendar,
    state: DataState,
    start: u64,
    pub(super) session: Session,
}

impl<'a> DayPlan<'a> {
    pub(super) fn new(project: &'a Project, day: u64, state: DataState) -> Self {
        let reference_ms = project.reference * 1_000;
        let wall = to_wall(&project.options.timezone, reference_ms);
        let calendar = Calendar {
            seed: project.seed,
            day,
            reference: project.reference,
            ahead: wall.cast_signed().wrapping_sub(reference_ms.cast_signed()) / 1_000,
            scale: project.scale,
        };
        let session = Session {
            index: 0,
            hash: 0,
            steps: Vec::with_capacity(32),
            sending: Sending::First,
            has_insert_ids: true,
            before_signup: Identity::User,
            identity: Identity::User,
        };
        Self { project, calendar, state, start: day * DAY_MS, session }
    }

    /// Calls `each` for every session of a user, and for the second transmission of another user's first session.
    /// Each user is the other one of exactly one user.
    pub(super) fn visit(&mut self, index: u64, mut each: impl FnMut(&Session)) {
        if let Some(activity) = self.calendar.activity(&self.project.people, index) {
            for number in 0..activity.sessions {
                self.prepare(index, &activity, number, Sending::First);
                each(&self.session);
            }
        }
        let options = &self.project.options;
        if options.duplicates <= 0.0 && options.conflicts <= 0.0 {
            return;
        }
        let people = self.project.people.len();
        let other = (index + people / 2) % people;
        let random = mix2(mix(self.project.seed ^ other), self.calendar.day ^ 0xD0_0B1E);
        let sending = if chance(random, options.duplicates) {
            Sending::Again
        } else if chance(mix(random), options.conflicts) {
            Sending::AgainChanged
        } else {
            return;
        };
        if let Some(activity) = self.calendar.activity(&self.project.people, other) {
            self.prepare(other, &activity, 0, sending);
            each(&self.session);
        }
    }

    fn prepare(&mut self, index: u64, activity: &Activity, number: u64, sending: Sending) {
        let (project, hash) = (self.project, mix2(activity.hash, number));
        let options = &project.options;
        let flag = |purpose: u64, share: f64| chance(mix(hash ^ purpose), share);
        let is_anonymous = project.people.is_anonymous(index);
        let is_signup = number == 0 && activity.signup.is_some() && !is_anonymous;
        let is_rekeyed = flag(0x4E7, options.rekeyed) && !is_anonymous && !is_signup;
        let session = &mut self.session;
        (session.index, session.hash, session.sending) = (index, hash, sending);
        session.has_insert_ids = !flag(0x15E, options.without_insert_id);
        // Not all rows from before a signup are rewritten, and not at once.
        session.before_signup = if mix(hash ^ 0xB5).is_multiple_of(3) { Identity::Device } else { Identity::Resolved };
        session.identity = match is_rekeyed {
            false => Identity::User,
            true if u64::from(self.state.revision) > below(mix(hash ^ 0x4E8), 2) => Identity::Resolved,
            true => Identity::Device,
        };
        let late = if flag(0x1A7E, options.late) { below(mix(hash ^ 0x1A7F), LATE_MAX_MS) } else { 0 };
        let first = match activity.signup.map(|signup| signup.saturating_sub(self.start).min(SIGNUP_LATEST)) {
            Some(signup) if number == 0 => signup,
            Some(signup) => signup + below(hash, DAY_MS - signup),
            None => time_of_day(hash),
        };
        session.steps.clear();
        let mut script = Script {
            random: Sequence::new(hash, 1),
            at: first,
            steps: &mut session.steps,
            is_before_signup: is_signup,
        };
        script.play(activity.paying_percent);
        self.keep_existing(late);
    }

    /// Sets the times of the steps, and drops those that do not exist.
    fn keep_existing(&mut self, late: u64) {
        let (options, state, start) = (&self.project.options, self.state, self.start);
        let sending = self.session.sending;
        self.session.steps.retain_mut(|step| {
            if step.time >= DAY_MS {
                return false;
            }
            step.time += start;
            step.received = to_utc(&options.timezone, step.time) + 300 + below(step.hash, 3_000) + late;
            if sending == Sending::AgainChanged {
                step.received += 3_600_000 + (step.hash & 0x7F_FFFF);
            }
            step.received + processing_ms(step.hash) <= state.now_ms
                && !(chance(mix(step.hash ^ 0x1), options.late_rows)
                    && u64::from(state.revision) <= below(step.hash.rotate_left(20), 2))
                && !(chance(mix(step.hash ^ 0x2), options.deleted_rows)
                    && u64::from(state.revision) > below(step.hash.rotate_left(20), 3))
        });
    }
}

/// Returns how long the processing of an event takes after it is received, in milliseconds.
pub(super) fn processing_ms(hash: u64) -> u64 {
    200 + (hash >> 20) % 1_800
}

/// What happens in a session.
struct Script<'a> {
    random: Sequence,
    /// The time of day in milliseconds.
    at: u64,
    steps: &'a mut Vec<Step>,
    is_before_signup: bool,
}

impl Script<'_> {
    fn play(&mut self, paying_percent: u64) {
        self.step(Kind::AppOpen);
        if self.is_before_signup {
            for _ in 0..self.random.below(3) {
                self.step(Kind::ViewItem);
            }
            self.is_before_signup = false;
            self.step(Kind::SignUp);
            self.step(Kind::Identify);
        }
        let bits = self.random.next();
        if bits & 15 == 0 {
            self.step(Kind::SizeChanged);
        }
        if bits >> 4 & 255 < 80 {
            self.step(Kind::Search);
        }
        // One in eight sessions is only a glance.
        if bits >> 12 & 7 == 0 {
            return;
        }
        let views = 1 + below(bits.rotate_left(8), 4).min(below(bits.rotate_left(24), 6));
        for _ in 0..views {
            self.step(Kind::ViewItem);
        }
        // Those who pay already buy more often.
        if bits >> 16 & 255 >= 50 + paying_percent / 2 {
            return;
        }
        for _ in 0..=(bits >> 24 & 3) / 2 {
            self.step(Kind::AddToCart);
        }
        if bits >> 32 & 255 < 160 {
            self.step(Kind::BeginCheckout);
            if bits >> 40 & 255 < 190 {
                self.step(Kind::Purchase);
            }
        }
    }

    /// Adds an event, at the current time, and lets some time pass.
    fn step(&mut self, kind: Kind) {
        let hash = self.random.next();
        self.steps.push(Step { kind, time: self.at, received: 0, hash, is_before_signup: self.is_before_signup });
        self.at += 400 + below(hash.rotate_left(32), 50_000);
    }
}
