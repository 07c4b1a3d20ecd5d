//! Shared by the tests: a simulator with events, a client for it, and requests.

use jiff::ToSpan as _;
use jiff::civil::Date;
use mixpanel_simulator::{EventOptions, ExportFault, Server, SimulatorConfig};

use super::request::EventsRequest;
use crate::api::{ApiClient, ApiOptions};
use crate::credentials::{Credentials, Region, Secret};
use crate::event_query::{Dedupe, EventQuery};
use crate::profile_query::{FetchMode, IfExists};
use crate::project_time_zone::ProjectTimeZone;
use crate::property_rules::RequestedRules;

/// Returns a simulator with a few hundred events a day, and these faults.
pub(super) async fn server(faults: &[&str]) -> Server {
    let mut config = SimulatorConfig::unlimited().with_profiles(300);
    config.events = EventOptions { late_rows: 0.1, deleted_rows: 0.1, ..EventOptions::default() };
    config.export_faults = faults.iter().map(|fault| fault.parse::<ExportFault>().unwrap()).collect();
    Server::start(config, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

pub(super) fn client(server: &Server) -> ApiClient {
    let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), "12345", Region::Us).unwrap();
    ApiClient::new(credentials, &ApiOptions { base_url: Some(server.base_url()), ..ApiOptions::default() }).unwrap()
}

pub(super) fn request(from: Date, to: Date, workers: u32, chunk_days: Option<u32>) -> EventsRequest {
    let timezone = ProjectTimeZone::utc();
    EventsRequest {
        table: "events".to_owned(),
        query: EventQuery { from, to, events: Vec::new(), filter: None, limit: None, timezone, dedupe: Dedupe::Exact },
        if_exists: IfExists::Fail,
        mode: FetchMode::Parallel { max_workers: Some(workers) },
        chunk_days,
        replaced_days: None,
        refresh_days: 5,
        rules: RequestedRules::default(),
    }
}

/// Returns the last `days` days before today.
pub(super) fn range(server: &Server, days: i64) -> (Date, Date) {
    let to = server.events().today().saturating_sub(1.day());
    (to.saturating_sub((days - 1).days()), to)
}
