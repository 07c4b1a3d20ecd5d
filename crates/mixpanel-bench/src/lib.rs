//! Input of the benchmarks: responses that are the same on every machine and in every run.

use std::time::Duration;

use mixpanel_simulator::{Request, Simulator, SimulatorConfig};
use serde_json::Value;

/// Profiles per page, as on Mixpanel's pages. Each takes about 1 KB.
pub const PROFILES: u64 = 1_000;

/// `simulator:simulator-secret` in plain text, which Mixpanel accepts too.
const AUTHORIZATION: &str = "Basic simulator:simulator-secret";

/// Returns the bodies of the first pages of a simulated project.
///
/// # Panics
/// If the simulator does not respond with pages.
#[must_use]
pub fn bodies(pages: u64) -> Vec<String> {
    let mut simulator = Simulator::new(SimulatorConfig::unlimited().with_profiles(pages * PROFILES));
    let mut session = String::new();
    let mut bodies = Vec::new();
    for page in 0..pages {
        let request = Request {
            path: "/api/query/engage".to_owned(),
            query: format!("project_id=12345&page={page}{session}"),
            authorization: Some(AUTHORIZATION.to_owned()),
            ..Request::default()
        };
        let reply = simulator.handle(&request, Duration::ZERO);
        simulator.finish(reply.ticket);
        let body = String::from_utf8(reply.body.to_vec()).expect("the simulator sends UTF-8");
        if page == 0 {
            let page: Value = serde_json::from_str(&body).expect("the simulator sends JSON");
            session = format!("&session_id={}", page["session_id"].as_str().expect("page 0 names the session"));
        }
        bodies.push(body);
    }
    bodies
}
