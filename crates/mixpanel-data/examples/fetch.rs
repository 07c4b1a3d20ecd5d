//! Fetches all profiles into a table, shows the progress, and queries the result.
//!
//! ```sh
//! MP_SECRET=... cargo run -p mixpanel-data --example fetch -- my-service-account 1234567 eu
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the library does not read the environment or print; a program does"
)]

use std::env;
use std::error::Error;

use mixpanel_data::{Credentials, IfExists, ProfileFetch, Secret, Workspace};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [username, project, region] = &arguments[..] else {
        return Err("usage: MP_SECRET=... fetch USERNAME PROJECT_ID us|eu|in".into());
    };
    let secret = Secret::new(env::var("MP_SECRET")?);
    let credentials = Credentials::new(username, secret, project, region.parse()?)?;
    fetch(&Workspace::new(credentials, "project.db")).await
}

/// Replaces the table `profiles` once the new one is complete.
pub(crate) async fn fetch(workspace: &Workspace) -> Result<(), Box<dyn Error>> {
    let fetch = ProfileFetch::new("profiles")
        .parallel()
        .if_exists(IfExists::Replace)
        .on_page_complete(|page| eprintln!("page {}: {} profiles", page.page_index, page.rows));
    let result = workspace.fetch_profiles(fetch).await?;
    println!("{} profiles with {} requests", result.rows(), result.counts().requests);

    // The view has a typed column for every property; the table has them as JSON.
    let plans =
        workspace.sql("SELECT plan, count(*) AS people FROM profiles_typed GROUP BY plan ORDER BY people DESC")?;
    println!("{}", plans.columns.join("\t"));
    for row in &plans.rows {
        println!("{}\t{}", row[0].as_str().unwrap_or("-"), row[1]);
    }
    Ok(())
}
