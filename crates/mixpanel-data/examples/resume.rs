//! Resumes the unfinished fetches of a database, which a crash, Ctrl-C or a network failure leaves behind.
//!
//! ```sh
//! MP_SECRET=... cargo run -p mixpanel-data --example resume -- my-service-account 1234567 eu
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the library does not read the environment or print; a program does"
)]

use std::env;
use std::error::Error;

use mixpanel_data::{Credentials, ErrorKind, ResumeFetch, Secret, Workspace};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [username, project, region] = &arguments[..] else {
        return Err("usage: MP_SECRET=... resume USERNAME PROJECT_ID us|eu|in".into());
    };
    let secret = Secret::new(env::var("MP_SECRET")?);
    let credentials = Credentials::new(username, secret, project, region.parse()?)?;
    let resumed = resume(&Workspace::new(credentials, "project.db")).await?;
    println!("{resumed} resumed");
    Ok(())
}

/// Resumes every run that no other process works on. Returns their number.
pub(crate) async fn resume(workspace: &Workspace) -> Result<u32, Box<dyn Error>> {
    let mut resumed = 0;
    for run in workspace.unfinished_runs()? {
        let is_of_use = run.is_readable() && !run.is_only_planned() && !run.is_superseded;
        let Some(table) = run.table.as_deref().filter(|_| is_of_use) else { continue };
        println!("{table}: {} pages are on disk; stopped because: {}", run.pages_done, run.reason);
        match workspace.resume_fetch(ResumeFetch::new(table).run(&run.run_id)).await {
            Ok(result) if result.has_failures() => println!("{table}: some pages are still missing"),
            Ok(result) => println!("{table}: {} profiles", result.rows()),
            Err(error) if error.kind() == ErrorKind::RunBusy => continue,
            Err(error) => return Err(error.into()),
        }
        resumed += 1;
    }
    Ok(resumed)
}
