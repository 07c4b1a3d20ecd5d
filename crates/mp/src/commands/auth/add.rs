//! `mp auth add`: adds an account.

use std::io::IsTerminal as _;

use mixpanel_data::{Credentials, Region};
use serde_json::json;

use super::answers::{self, option};
use crate::account_values::{account_name, project, region, username};
use crate::accounts::Accounts;
use crate::cli::AddArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::prompt::{self, Kept};

/// How to give the secret without a prompt.
const SECRET_HINT: &str = "pipe the secret into `mp auth add NAME --secret-stdin`, or set MP_SECRET";

/// Runs `mp auth add`.
pub(super) fn run(context: &Context, arguments: AddArgs) -> Result<(), Failure> {
    let may_ask = !arguments.secret_stdin && std::io::stdin().is_terminal();
    if !may_ask {
        check_complete(context, &arguments)?;
    }
    let output = &context.output;
    // Check the options before prompting for anything.
    let given_username = option(arguments.username.as_ref(), username)?;
    let given_project = option(arguments.project.as_ref(), project)?;
    let name = option(arguments.name.as_ref(), account_name)?;
    let accounts = Accounts::load(context.environment(), output)?;
    let name = match name {
        Some(name) => {
            accounts.check_is_new(&name)?;
            name
        }
        None => prompt::text(output, "Account name", None, |answer| {
            let name = account_name(answer)?;
            let is_known = accounts.config().names().contains(&name.as_str());
            if is_known { Err(format!("account `{name}` already exists")) } else { Ok(name) }
        })?,
    };
    let username = given_username.map_or_else(|| prompt::text(output, "User name", None, username), Ok)?;
    let secret = match &context.environment().secret {
        _ if arguments.secret_stdin => prompt::secret_from_stdin()?,
        Some(secret) if !arguments.interactive => {
            output.note("using the secret from MP_SECRET");
            secret.clone()
        }
        _ => prompt::secret(output, Kept::No, SECRET_HINT)?.expect("an empty secret is asked for again"),
    };
    let project_id = given_project.map_or_else(|| prompt::text(output, "Project id", None, project), Ok)?;
    let region = match arguments.region {
        Some(region) => region,
        None if may_ask => prompt::text(output, "Region (us, eu or in)", Some("us"), region)?,
        None => Region::Us,
    };
    let credentials = Credentials { username, secret, project_id, region };
    let tested = !arguments.no_test && answers::test(context, &name, &credentials)?;
    let is_default = Accounts::update(context.environment(), output, |accounts| {
        accounts.check_is_new(&name)?;
        accounts.config_mut().add(&name, &credentials);
        if arguments.default {
            accounts.config_mut().set_default(&name);
        }
        Ok(accounts.config().default_name() == Some(&name))
    })?;
    let role = if is_default { ", the default account" } else { "" };
    let text = format!("Added `{name}`{role}{}", answers::outcome(tested));
    context.report(json!({ "added": name, "is_default": is_default, "tested": tested }), &text)
}

/// Checks that nothing must be prompted for.
fn check_complete(context: &Context, arguments: &AddArgs) -> Result<(), Failure> {
    let has_secret = arguments.secret_stdin || (context.environment().secret.is_some() && !arguments.interactive);
    let needed = [
        (arguments.name.is_some(), "NAME"),
        (arguments.username.is_some(), "`--username`"),
        (arguments.project.is_some(), "`--project`"),
        (has_secret, "the secret (`--secret-stdin` or MP_SECRET)"),
    ];
    let missing: Vec<_> = needed.into_iter().filter(|(is_given, _)| !is_given).map(|(_, name)| name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("cannot prompt without a terminal, and these are missing: {}", missing.join(", ")))
        .hint("usage: mp auth add NAME --username USER --project PROJECT_ID --secret-stdin < FILE"))
}
