//! `mp auth`: manages the accounts.

mod add;
mod answers;
mod edit;

use std::time::Duration;

use mixpanel_data::{Credentials, ErrorKind, Fault, Timeouts};
use serde_json::json;

use crate::accounts::Accounts;
use crate::cli::AuthCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::prompt::{self, Answer};
use crate::text::counted;

/// Runs `mp auth ...`.
pub(crate) fn run(context: &Context, command: AuthCommand) -> Result<Exit, Failure> {
    match command {
        AuthCommand::List => list(context)?,
        AuthCommand::Add(arguments) => add::run(context, arguments)?,
        AuthCommand::Edit(arguments) => edit::run(context, arguments)?,
        AuthCommand::Remove { name, force } => remove(context, &name, force)?,
        AuthCommand::Switch { name } => switch(context, &name)?,
        AuthCommand::Show { name } => show(context, name)?,
        AuthCommand::Test { name, max_wait } => test(context, name, max_wait)?,
    }
    Ok(Exit::Success)
}

fn list(context: &Context) -> Result<(), Failure> {
    let accounts = Accounts::load(context.environment(), &context.output)?;
    let default = accounts.config().default_name();
    let mut records = Vec::new();
    for name in accounts.config().names() {
        let Credentials { username, project_id, region, .. } = accounts.get(name)?;
        records.push(json!({
            "name": name,
            "username": username,
            "project_id": project_id,
            "region": region,
            "is_default": default == Some(name),
        }));
    }
    context.print_all(&["name", "username", "project_id", "region", "is_default"], records)
}

fn remove(context: &Context, name: &str, force: bool) -> Result<(), Failure> {
    Accounts::load(context.environment(), &context.output)?.check_exists(name)?;
    if !force && prompt::confirm(&context.output, &format!("Remove the account `{name}`?"))? == Answer::No {
        return Err(Failure::new("nothing was removed").hint("use `--force` to skip the confirmation prompt"));
    }
    Accounts::update(context.environment(), &context.output, |accounts| {
        accounts.check_exists(name)?;
        accounts.config_mut().remove(name);
        Ok(())
    })?;
    context.report(json!({ "removed": name }), &format!("Removed account `{name}`"))
}

fn switch(context: &Context, name: &str) -> Result<(), Failure> {
    Accounts::load(context.environment(), &context.output)?.check_exists(name)?;
    Accounts::update(context.environment(), &context.output, |accounts| {
        accounts.check_exists(name)?;
        accounts.config_mut().set_default(name);
        Ok(())
    })?;
    context.report(json!({ "default": name }), &format!("Account `{name}` is now the default"))
}

fn show(context: &Context, name: Option<String>) -> Result<(), Failure> {
    let accounts = Accounts::load(context.environment(), &context.output)?;
    let default = accounts.config().default_name().map(str::to_owned);
    let name = match name.or_else(|| context.settings.account.clone()) {
        Some(name) => name,
        None => accounts.default_name()?.ok_or_else(Failure::no_accounts)?.to_owned(),
    };
    let Credentials { username, project_id, region, .. } = accounts.get(&name)?;
    context.print(json!({
        "name": name,
        "username": username,
        "secret": "********",
        "project_id": project_id,
        "region": region,
        "is_default": default.as_ref() == Some(&name),
    }))
}

fn test(context: &Context, name: Option<String>, max_wait: Duration) -> Result<(), Failure> {
    let settings = &context.settings;
    let identity = match name {
        Some(name) => settings.identity_of(name, &context.output)?,
        None => settings.identity(&context.output)?,
    };
    let workspace = settings.workspace(&identity, &context.output)?;
    let workspace = workspace.with_timeouts(Timeouts { call: max_wait, ..Timeouts::default() });
    let whose = identity.whose();
    let events = context.block_on(async {
        let result = workspace.test_credentials().await;
        result.map_err(|error| {
            let headline = if error.kind() == ErrorKind::Unauthorized {
                format!("the credentials of {whose} were rejected")
            } else {
                format!("could not test the credentials of {whose}")
            };
            match &identity.account {
                Some(name) if error.fault() == Some(Fault::Region) => {
                    Failure::without_hint(headline, &error).hint(context.region_hint(Some(name)))
                }
                _ => {
                    let failure = context.failed(headline, &error);
                    match settings.project_source(&identity).filter(|_| error.kind() == ErrorKind::Forbidden) {
                        Some(source) => {
                            failure.hint(format!("project {} comes from {source}", identity.credentials.project_id))
                        }
                        None => failure,
                    }
                }
            }
        })
    })?;
    let (project, region) = (&identity.credentials.project_id, identity.credentials.region);
    let text = format!(
        "The credentials of {whose} are valid for project {project} ({region}), which has {}",
        counted(events as u64, "event name")
    );
    let record = json!({
        "success": true,
        "account": identity.account,
        "project_id": project,
        "region": region,
        "events_found": events,
    });
    context.report(record, &text)
}
