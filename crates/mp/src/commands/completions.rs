//! `mp completions`: prints or installs the completion script of a shell.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::completion;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::home::no_home;
use crate::output::Escape;

/// Prints the completion script of a shell, by default the user's.
pub(crate) fn show(context: &Context, shell: Option<Shell>) -> Result<Exit, Failure> {
    let shell = shell.map_or_else(|| current_shell(context), Ok)?;
    print(context, &script(shell))
}

/// Installs the completion script where the shell looks for it.
pub(crate) fn install(context: &Context, shell: Option<Shell>) -> Result<Exit, Failure> {
    let shell = shell.map_or_else(|| current_shell(context), Ok)?;
    let path = destination(context, shell)?;
    // Rename a temporary file: if the path is a link, its target is not overwritten.
    let write = |path: &Path| {
        let directory = path.parent().unwrap_or(path);
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(script(shell).as_bytes())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write(&path).map_err(|error| {
        Failure::new(format!("could not write `{}`", path.display()))
            .caused_by(&error)
            .hint(format!("save the output of `mp completions {shell}` elsewhere"))
    })?;
    context.output.note(&format!(
        "installed the completion script for {shell} in `{}`; open a new shell to use it",
        path.display()
    ));
    if shell == Shell::Zsh {
        context
            .output
            .hint("zsh needs these lines in ~/.zshrc: `fpath=(~/.zfunc $fpath)` and `autoload -U compinit; compinit`");
    }
    Ok(Exit::Success)
}

fn print(context: &Context, text: &str) -> Result<Exit, Failure> {
    let mut data = context.output.data(Escape::Text);
    data.text(text)?;
    data.finish()?;
    Ok(Exit::Success)
}

fn script(shell: Shell) -> String {
    completion::script(&shell.to_string()).unwrap_or_default()
}

fn current_shell(context: &Context) -> Result<Shell, Failure> {
    let shell = context.environment().shell.as_deref().and_then(Shell::from_shell_path);
    shell.ok_or_else(|| Failure::usage("cannot detect the shell").hint("specify bash, zsh, fish, elvish or powershell"))
}

fn destination(context: &Context, shell: Shell) -> Result<PathBuf, Failure> {
    let environment = context.environment();
    let home = environment.home.clone().ok_or_else(no_home)?;
    match shell {
        Shell::Bash => {
            let data = environment.data_home.clone().unwrap_or_else(|| home.join(".local/share"));
            Ok(data.join("bash-completion/completions/mp"))
        }
        Shell::Fish => {
            let config = environment.config_home.clone().unwrap_or_else(|| home.join(".config"));
            Ok(config.join("fish/completions/mp.fish"))
        }
        Shell::Zsh => Ok(home.join(".zfunc/_mp")),
        _ => Err(Failure::usage(format!("{shell} has no standard directory for completion scripts"))
            .hint(format!("save the output of `mp completions {shell}` where you need it"))),
    }
}
