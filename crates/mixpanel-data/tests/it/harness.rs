//! Shared by the tests: a simulator, a directory, and a workspace that uses both.

use std::path::PathBuf;

use mixpanel_data::{ApiClient, ApiOptions, Credentials, Region, Secret, Workspace};
use mixpanel_simulator::{Fault, Server, SimulatorConfig};
use tempfile::TempDir;

use crate::conservation;

/// A simulator and an empty directory for databases. Dropping it stops the one and removes the other.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) directory: TempDir,
}

impl Bench {
    /// Starts a simulator.
    pub(crate) async fn start(mut config: SimulatorConfig) -> Self {
        config.keep_sent = true;
        let server = Server::start(config, ([127, 0, 0, 1], 0).into()).await.expect("loopback has a free port");
        Self { server, directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Starts a simulator without quotas that has `profiles` profiles and these faults.
    pub(crate) async fn with_faults(profiles: u64, faults: &[&str]) -> Self {
        let mut config = SimulatorConfig::unlimited().with_profiles(profiles);
        config.faults = faults.iter().map(|fault| fault.parse::<Fault>().expect("a fault")).collect();
        Self::start(config).await
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("project.db")
    }

    pub(crate) fn workspace(&self) -> Workspace {
        self.workspace_of(self)
    }

    /// Returns a workspace with this database and the simulator of another bench.
    pub(crate) fn workspace_of(&self, other: &Self) -> Workspace {
        Workspace::new(credentials("simulator-secret"), self.database())
            .with_base_url(&other.server.base_url())
            .expect("it is on loopback")
    }

    pub(crate) fn client(&self) -> ApiClient {
        self.client_with_secret("simulator-secret")
    }

    pub(crate) fn client_with_secret(&self, secret: &str) -> ApiClient {
        let options = ApiOptions { base_url: Some(self.server.base_url()), ..ApiOptions::default() };
        ApiClient::new(credentials(secret), &options).expect("it is on loopback")
    }

    /// Returns the names of the files and directories in the database's directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).expect("the directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Checks after every successful test that the last load matches what the server sent.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            conservation::check(&self.database(), &self.server.sent_pages());
        }
    }
}

pub(crate) fn credentials(secret: &str) -> Credentials {
    Credentials::new("simulator", Secret::new(secret), "12345", Region::Us).expect("they are well formed")
}
