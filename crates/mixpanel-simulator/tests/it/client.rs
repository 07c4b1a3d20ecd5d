//! A server and a client for it.

use mixpanel_simulator::{Server, SimulatorConfig};
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
