//! The Engage endpoint: sessions, pages, and the JSON of a page (`docs/mixpanel-api.md#engage-request` and the
//! sections after it).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::config::{PastEnd, RequestedPageSize, SessionIdMode, SimulatorConfig, TotalMode};
use crate::fault::FaultKind;
use crate::message::Reply;
use crate::params::Params;
use crate::profiles::{Population, Visits, push, push_json_text, push_number};
use crate::project_profiles::population;
use crate::select::Selection;
use crate::session::{Session, Sessions};

/// The only known error text for a page of a query that the server has not cached
/// (`docs/mixpanel-api.md#sessions-and-paging`). Its status is unknown; 400 is an assumption.
const UNCACHED: &str = "request for page in uncached query for params";

/// The project's profiles and the sessions that page through them.
#[derive(Debug)]
pub(crate) struct Engage {
    people: Population,
    visits: Visits,
    sessions: Sessions,
    /// The selection of the most recent query, which a new session of the same query reuses instead of scanning all
    /// records again.
    latest: Option<Arc<Selection>>,
    pub(crate) sessions_created: u64,
}

impl Engage {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self {
            people: population(config),
            visits: Visits::default(),
            sessions: Sessions::default(),
            latest: None,
            sessions_created: 0,
        }
    }

    /// Responds to a page request. `fault` matters here only if it affects the session or the page number.
    pub(crate) fn reply(
        &mut self,
        config: &SimulatorConfig,
        params: &Params,
        page: u64,
        fault: Option<&FaultKind>,
        now: Duration,
    ) -> Reply {
        match self.session_of(config, params, page, fault, now) {
            Ok(session) => page_reply(config, &session, page, fault),
            Err(reply) => *reply,
        }
    }

    fn session_of(
        &mut self,
        config: &SimulatorConfig,
        params: &Params,
        page: u64,
        fault: Option<&FaultKind>,
        now: Duration,
    ) -> Result<Session, Box<Reply>> {
        let refused = |message: &str| Box::new(Reply::error(StatusCode::BAD_REQUEST, message));
        let asked_size = params.page_size().map_err(|message| refused(&message))?;
        let id = params.get("session_id");
        if let Some(id) = id.filter(|_| fault == Some(&FaultKind::LostSession)) {
            self.sessions.forget(id);
        }
        let session = match id {
            // An unknown session is rejected on page 0 too (assumption).
            Some(id) => self
                .sessions
                .get(config, id, &params.filter_key(), now)
                .filter(|session| page == 0 || !session.selection.uncached)
                .ok_or_else(|| refused(UNCACHED))?,
            None if page > 0 => return Err(refused(UNCACHED)),
            None => {
                let selection = self.select(config, params, now).map_err(|message| refused(&message))?;
                self.sessions_created += 1;
                self.sessions.make(config, selection, page_size(config, asked_size), now)
            }
        };
        Ok(match fault {
            Some(FaultKind::LostSession) => {
                self.sessions.forget(&session.id);
                session
            }
            Some(FaultKind::ReplacedSession) => {
                self.sessions_created += 1;
                self.sessions.replace(config, &session, now)
            }
            _ => session,
        })
    }

    fn select(&mut self, config: &SimulatorConfig, params: &Params, now: Duration) -> Result<Arc<Selection>, String> {
        if self.visits.advance(config.seed, self.people.visitors(), config.active_per_minute, now) {
            self.people.set_visits(Arc::new(self.visits.clone()));
            self.latest = None;
        }
        let key = params.filter_key();
        if let Some(latest) = self.latest.as_ref().filter(|latest| latest.filter_key == key) {
            return Ok(Arc::clone(latest));
        }
        let selection = Arc::new(Selection::make(config, &self.people, params)?);
        self.latest = Some(Arc::clone(&selection));
        Ok(selection)
    }
}

fn page_size(config: &SimulatorConfig, asked: Option<u32>) -> u32 {
    match (config.requested_page_size, asked) {
        (RequestedPageSize::UpTo(most), Some(asked)) => asked.min(most.max(1)),
        _ => config.page_size.max(1),
    }
}

fn page_reply(config: &SimulatorConfig, session: &Session, page: u64, fault: Option<&FaultKind>) -> Reply {
    let len = session.selection.len();
    let start = page.saturating_mul(u64::from(session.page_size));
    if page > 0 && start >= len && config.past_end == PastEnd::BadRequest {
        return Reply::error(StatusCode::BAD_REQUEST, &format!("page {page} is past the end of the query"));
    }
    let shown = match config.past_end {
        PastEnd::RepeatLast if start >= len => len.saturating_sub(1) / u64::from(session.page_size),
        PastEnd::RepeatFirst if start >= len => 0,
        _ => page,
    };
    let start = shown.saturating_mul(u64::from(session.page_size));
    let rows = len.saturating_sub(start).min(u64::from(session.page_size));
    let mut out = Vec::with_capacity(256 + usize::try_from(rows).unwrap_or(0) * 1_100);
    push(&mut out, "{\"page\":");
    push_number(&mut out, if fault == Some(&FaultKind::WrongPage) { page + 1 } else { page });
    push(&mut out, ",\"page_size\":");
    push_number(&mut out, u64::from(config.declared_page_size.unwrap_or(session.page_size)));
    push(&mut out, ",\"session_id\":");
    if config.session_id == SessionIdMode::NullOnLastPage && start + rows >= len {
        push(&mut out, "null");
    } else {
        push_json_text(&mut out, &session.id);
    }
    push(&mut out, ",\"status\":\"ok\"");
    if let Some(total) = total(config.total, len, page, session.page_size) {
        push(&mut out, ",\"total\":");
        push_number(&mut out, total);
    }
    push(&mut out, ",\"results\":[");
    let mut scratch = Vec::new();
    for (number, place) in session.places(shown, config.overlap).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        session.selection.push_row(&mut out, &mut scratch, place);
    }
    push(&mut out, "]}");
    Reply::json(out)
}

fn total(mode: TotalMode, len: u64, page: u64, page_size: u32) -> Option<u64> {
    match mode {
        TotalMode::FirstPage => (page == 0).then_some(len),
        TotalMode::EveryPage => Some(len),
        TotalMode::Missing => None,
        TotalMode::OnePageMore => Some((page + 2).saturating_mul(u64::from(page_size))),
        TotalMode::FirstPageOffBy(_) if page > 0 => Some(len),
        TotalMode::OffBy(delta) | TotalMode::FirstPageOffBy(delta) => Some(len.saturating_add_signed(delta)),
        TotalMode::DriftPerPage(delta) => {
            let pages = i64::try_from(page).unwrap_or(i64::MAX);
            Some(len.saturating_add_signed(delta.saturating_mul(pages)))
        }
    }
}
