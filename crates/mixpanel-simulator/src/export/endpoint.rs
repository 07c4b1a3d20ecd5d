//! Responds to export requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, StatusCode};
use jiff::civil::Date;

use super::body::ExportBody;
use super::fault::ExportFaultKind;
use super::gzip::GzipPlan;
use super::params::{ExportRequest, dates};
use super::refusal::too_many_exports;
use super::script::{Due, ExportScript};
use crate::body_fault::{BodyFault, Framing};
use crate::config::SimulatorConfig;
use crate::event_options::{ExportFraming, Revision, RowOrder};
use crate::events::{DataState, Events, Project, Rows, date_of, day_of};
use crate::fault::FaultKind;
use crate::hash::mix2;
use crate::limit_kind::LimitKind;
use crate::message::{Reply, Request};
use crate::params::Params;

/// The wait after a 429 that a fault causes.
const FAULT_WAIT: Duration = Duration::from_secs(10);

/// The project's events, and what the server has sent of them.
#[derive(Debug)]
pub(crate) struct Export {
    project: Arc<Project>,
    script: ExportScript,
    /// What [`Export::revise`] has added to the revision of all days.
    revised: u32,
    /// The complete responses that contained a day, by day.
    fetched: BTreeMap<u64, Fetched>,
    /// The number of requests so far, which determines the order of shuffled rows.
    requests: u64,
    pub(crate) faults_applied: u64,
    /// The limit that a fault pretended to be exceeded in the latest response.
    pub(crate) pretended_limit: Option<LimitKind>,
}

/// The complete responses that contained a day.
#[derive(Debug, Clone, Copy, Default)]
struct Fetched {
    times: u32,
    /// The revision in the latest one.
    revision: u32,
}

impl Export {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self {
            project: Arc::new(Project::new(config)),
            script: ExportScript::new(config.export_faults.clone()),
            revised: 0,
            fetched: BTreeMap::new(),
            requests: 0,
            faults_applied: 0,
            pretended_limit: None,
        }
    }

    /// Adds 1 to the revision of all days.
    pub(crate) fn revise(&mut self) {
        self.revised += 1;
    }

    /// Returns the events as they are at a time after the start.
    pub(crate) fn events(&self, now: Duration) -> Events {
        Events::at(Arc::clone(&self.project), self.project.now_ms(now))
    }

    /// Returns the revision of a day that the next response has.
    pub(crate) fn revision(&self, day: u64) -> u32 {
        self.revised
            + match self.project.options.revision {
                Revision::Fixed(revision) => revision,
                Revision::OnRefetch => self.fetched.get(&day).map_or(0, |fetched| fetched.times),
            }
    }

    /// Returns the revision of a day in the latest complete response that contained it.
    pub(crate) fn sent_revision(&self, day: Date) -> Option<u32> {
        let day = u64::try_from(day_of(day)).ok()?;
        self.fetched.get(&day).map(|fetched| fetched.revision)
    }

    /// Responds to a request.
    pub(crate) fn reply(&mut self, request: &Request, params: &Params, now: Duration) -> Reply {
        self.requests += 1;
        let days = dates(params).ok();
        let Due { delay, kind, applied } = self.script.next(&slice_key(params), days);
        self.faults_applied += applied;
        self.pretended_limit = None;
        let mut reply = match &kind {
            Some(ExportFaultKind::Common(FaultKind::Limit(limit))) => {
                self.pretended_limit = Some(*limit);
                too_many_exports(self.project.options.limit_style, FAULT_WAIT)
            }
            Some(ExportFaultKind::Common(fault)) => match fault.reply_instead() {
                Some(reply) => reply,
                None => self.rows(request, params, kind.as_ref(), now),
            },
            _ => self.rows(request, params, kind.as_ref(), now),
        };
        reply.delay += delay;
        reply
    }

    fn note_fetched(&mut self, day: u64, revision: u32) {
        let fetched = self.fetched.entry(day).or_default();
        fetched.times += 1;
        fetched.revision = revision;
    }

    fn rows(&mut self, request: &Request, params: &Params, fault: Option<&ExportFaultKind>, now: Duration) -> Reply {
        let now_ms = self.project.now_ms(now);
        let today = self.project.day_at(now_ms);
        let valid = match ExportRequest::read(params, date_of(today), self.project.options.time_unit) {
            Ok(valid) => valid,
            Err(message) => return Reply::error(StatusCode::BAD_REQUEST, &message),
        };
        if let Some(days) = self.project.options.history_days
            && day_of(valid.from) + i64::from(days) < today.cast_signed()
        {
            // The text is known from other endpoints (`docs/mixpanel-api.md#export-limits`).
            return Reply::error(StatusCode::FORBIDDEN, &format!("Date range exceeds {days} days into the past"));
        }
        let first = day_of(valid.from).max(self.project.first_day().cast_signed()).cast_unsigned();
        let last = day_of(valid.to).cast_unsigned().min(today);
        let is_complete = fault.is_none_or(|fault| matches!(fault, ExportFaultKind::Common(FaultKind::Stall { .. })));
        let state = |day| (day, DataState { now_ms, revision: self.revision(day) });
        let days: Vec<(u64, DataState)> = (first..=last).map(state).collect();
        if is_complete {
            days.iter().for_each(|(day, state)| self.note_fetched(*day, state.revision));
        }
        let options = &self.project.options;
        let shuffle = (options.order == RowOrder::Shuffled).then(|| mix2(self.project.seed(), self.requests));
        let mut selection = valid.selection;
        let mut tail = None;
        if let Some(ExportFaultKind::Ending { rows, text }) = fault {
            selection.limit = selection.limit.min(*rows);
            tail = Some(Bytes::from(text.clone()));
        }
        let mut body = ExportBody {
            rows: Rows::new(Arc::clone(&self.project), days, selection, shuffle),
            tail,
            final_newline: options.final_newline,
            gzip: None,
            chunk_size: options.chunk_size,
            is_close_delimited: false,
        };
        let missing = match fault {
            Some(ExportFaultKind::GzipEnd { missing }) => *missing,
            _ => 0,
        };
        let is_accepted = request.accept_encoding.as_deref().is_some_and(|accepted| accepted.contains("gzip"));
        if missing > 0 || is_accepted && body.is_longer_than(options.gzip_threshold) {
            body.gzip = Some(GzipPlan { level: options.gzip_level, members: options.gzip_members, missing });
        }
        let framing = match fault {
            Some(ExportFaultKind::Cut { framing: Some(framing), .. }) => *framing,
            _ => options.framing,
        };
        deliver(body, framing, fault)
    }
}

/// Makes a response of a body.
fn deliver(mut body: ExportBody, framing: ExportFraming, fault: Option<&ExportFaultKind>) -> Reply {
    let mut reply = Reply::new(StatusCode::OK, "text/plain; charset=utf-8", "");
    if body.gzip.is_some() {
        reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if framing == ExportFraming::ContentLength {
        reply.body = body.to_bytes();
    } else {
        body.is_close_delimited = framing == ExportFraming::CloseDelimited;
        reply.export = Some(body);
    }
    match fault {
        Some(ExportFaultKind::Cut { after, .. }) => {
            reply.fault = Some(match framing {
                ExportFraming::ContentLength => {
                    let after = (*after).min(reply.body.len().saturating_sub(1));
                    BodyFault::Cut { after, framing: Framing::ContentLength }
                }
                _ => BodyFault::Cut { after: *after, framing: Framing::Chunked },
            });
        }
        Some(ExportFaultKind::Common(FaultKind::Stall { after: 0, pause })) => reply.delay += *pause,
        Some(ExportFaultKind::Common(FaultKind::Stall { after, pause })) => {
            reply.fault = Some(BodyFault::Stall { after: *after, pause: *pause });
        }
        _ => {}
    }
    reply
}

/// Returns a text that identifies what is requested.
fn slice_key(params: &Params) -> String {
    let given = ["from_date", "to_date", "event", "where", "limit"].map(|name| params.get(name));
    format!("{given:?}")
}

/// Returns the dates of a request as the statistics show them.
pub(crate) fn slice_name(params: &Params) -> String {
    let date = |name| params.get(name).unwrap_or_default();
    format!("{}..{}", date("from_date"), date("to_date"))
}
