//! A server and a client for it.

use jiff::civil::Date;
use mixpanel_simulator::{EventOptions, Events, Server, SimulatorConfig};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// A running simulator, with an HTTP client that has valid credentials.
pub(crate) struct Sim {
    pub(crate) server: Server,
    pub(crate) http: reqwest::Client,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) async fn from(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("a whole body").to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a UTF-8 body")
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error text").to_owned()
    }

    pub(crate) fn results(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["results"].as_array().expect("results").clone()
    }

    pub(crate) fn session(&self) -> String {
        self.json()["session_id"].as_str().expect("a session_id").to_owned()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.results().iter().map(|row| row["$distinct_id"].as_str().expect("a text id").to_owned()).collect()
    }
}

impl Sim {
    pub(crate) async fn start(config: SimulatorConfig) -> Self {
        let server = Server::start(config, ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        Self { server, http: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base_url())
    }

    /// Builds a GET request to Engage with the credentials and the project.
    pub(crate) fn request(&self, params: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.get(self.url("/api/query/engage")).query(&[("project_id", "12345")]).query(params);
        request.basic_auth("simulator", Some("simulator-secret"))
    }

    pub(crate) async fn get(&self, params: &[(&str, &str)]) -> Got {
        Got::from(self.request(params).send().await.expect("a reply")).await
    }

    pub(crate) async fn page(&self, page: u64, session: &str) -> Got {
        self.get(&[("page", &page.to_string()), ("session_id", session)]).await
    }
}

/// Returns a configuration with 25 profiles, 10 per page, and no limits.
pub(crate) fn small() -> SimulatorConfig {
    SimulatorConfig { page_size: 10, ..SimulatorConfig::unlimited().with_profiles(25) }
}

/// Returns [`small`] with one fault, given in the one-line notation.
pub(crate) fn small_with(fault: &str) -> SimulatorConfig {
    small().with_fault(fault.parse().expect("a fault"))
}

impl Sim {
    /// Builds an export request with the credentials and the project.
    pub(crate) fn export_request(&self, params: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.get(self.url("/api/2.0/export")).query(&[("project_id", "12345")]).query(params);
        request.basic_auth("simulator", Some("simulator-secret"))
    }

    pub(crate) async fn export(&self, params: &[(&str, &str)]) -> Got {
        Got::from(self.export_request(params).send().await.expect("a reply")).await
    }

    /// Exports days with the time in milliseconds.
    pub(crate) async fn days(&self, from: &str, to: &str) -> Got {
        self.export(&[("from_date", from), ("to_date", to), ("time_in_ms", "true")]).await
    }
}

impl Got {
    /// Returns the lines of an export in a fixed order.
    pub(crate) fn sorted_lines(&self) -> Vec<Vec<u8>> {
        assert_eq!(self.status, 200, "{}", self.text());
        sorted(self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
    }
}

pub(crate) fn sorted(mut lines: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    lines.sort();
    lines
}

/// Returns a configuration with the events of 300 people and no limits.
pub(crate) fn shop() -> SimulatorConfig {
    SimulatorConfig::unlimited().with_profiles(300)
}

/// Returns [`shop`] with one fault of exports, given in its notation.
pub(crate) fn shop_with(fault: &str) -> SimulatorConfig {
    shop().with_export_fault(fault.parse().expect("a fault"))
}

pub(crate) fn date(text: &str) -> Date {
    text.parse().expect("a date")
}

/// Returns the lines that an export of some days should contain.
pub(crate) fn expected(events: &Events, from: &str, to: &str, revision: u32) -> Vec<Vec<u8>> {
    let days = date(from).series(jiff::Span::new().days(1)).take_while(|day| *day <= date(to));
    sorted(days.flat_map(|day| events.lines(day, revision)).filter(|line| !line.is_empty()).collect())
}

pub(crate) fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("JSON")
}

pub(crate) fn with(change: impl FnOnce(&mut EventOptions)) -> SimulatorConfig {
    let mut config = shop();
    change(&mut config.events);
    config
}
