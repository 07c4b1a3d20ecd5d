//! The command `mp`: fetches user profiles from Mixpanel into DuckDB.
//!
//! Start reading at `cli` (arguments), `settings` (resolved settings), `commands` (one module per command), `output`
//! and `failure` (what the user sees).

mod accounts;
mod app;
mod cli;
mod commands;
mod completion;
mod config;
mod config_keys;
mod context;
mod credential_text;
mod ctrl_c;
mod defaults;
mod env;
mod failure;
mod first_day;
mod format;
mod hash_key;
mod hidden;
mod hints;
mod logging;
mod os_error;
mod output;
mod pager;
mod partial_file;
mod private_file;
mod progress;
mod prompt;
mod settings;
mod signals;
mod sql_hint;
mod sql_property_hint;
mod start;
mod streams;
mod terminal;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::guarded(app::run).into()
}
