//! `mp auth edit`: changes an account.

use std::io::IsTerminal as _;

use mixpanel_data::Credentials;
use serde_json::json;

use super::answers::{self, option};
use crate::account_values::{project, region, username};
use crate::accounts::Accounts;
use crate::cli::EditArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::prompt::{self, Kept};
use crate::text::shell_quoted;

/// Runs `mp auth edit`.
pub(super) fn run(context: &Context, arguments: EditArgs) -> Result<(), Failure> {
    let EditArgs { name, no_test, .. } = &arguments;
    let output = &context.output;
    let old = Accounts::load(context.environment(), output)?.get(name)?;
    let new = changed(output, &arguments, &old)?;
    let changes = [
        ("username", new.username != old.username),
        ("secret", new.secret.expose() != old.secret.expose()),
        ("project_id", new.project_id != old.project_id),
        ("region", new.region != old.region),
    ];
    let changes: Vec<_> = changes.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect();
    let tested = !no_test && answers::test(context, name, &new)?;
    if !changes.is_empty() {
        Accounts::update(context.environment(), output, |accounts| {
            accounts.check_exists(name)?;
            accounts.config_mut().change(name, &new);
            Ok(())
        })?;
    }
    let what = if changes.is_empty() { "nothing".to_owned() } else { changes.join(", ").replace('_', " ") };
    let text = format!("Changed {what} of account `{name}`{}", answers::outcome(tested));
    context.report(json!({ "edited": name, "changed": changes, "tested": tested }), &text)
}

/// Returns the new credentials, from the options or from prompts.
fn changed(output: &Output, arguments: &EditArgs, old: &Credentials) -> Result<Credentials, Failure> {
    let EditArgs { name, secret_stdin, .. } = arguments;
    let given_username = option(arguments.username.as_ref(), username)?;
    let given_project = option(arguments.project.as_ref(), project)?;
    if given_username.is_some() || given_project.is_some() || arguments.region.is_some() || *secret_stdin {
        let secret = if *secret_stdin { prompt::secret_from_stdin()? } else { old.secret.clone() };
        return Ok(Credentials {
            username: given_username.unwrap_or_else(|| old.username.clone()),
            secret,
            project_id: given_project.unwrap_or_else(|| old.project_id.clone()),
            region: arguments.region.unwrap_or(old.region),
        });
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nothing to change, and no terminal to prompt at").hint(format!(
            "use `mp auth edit {name}` with `--username`, `--project`, `--region` or `--secret-stdin`"
        )));
    }
    let username = prompt::text(output, "User name", Some(&old.username), username)?;
    let hint = format!("pipe the secret into `mp auth edit {} --secret-stdin`", shell_quoted(name));
    let secret = prompt::secret(output, Kept::Yes, &hint)?.unwrap_or_else(|| old.secret.clone());
    let project_id = prompt::text(output, "Project id", Some(old.project_id.as_str()), project)?;
    let region = prompt::text(output, "Region (us, eu or in)", Some(old.region.as_str()), region)?;
    Ok(Credentials { username, secret, project_id, region })
}
