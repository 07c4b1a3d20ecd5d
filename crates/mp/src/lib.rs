//! The command `mp`: fetches user profiles and events from Mixpanel into DuckDB.
//!
//! [`run`] is the whole command. It is a library so that other programs can contain it: the binary `mp` and the script
//! of that name in the Python package only pass on their command line. [`session`] gives a program the credentials and
//! settings that the command would use.
//!
//! Start reading at `cli` (arguments), `settings` (resolved settings), `commands` (one module per command), `output`
//! and `failure` (what the user sees).

mod account_values;
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
mod home;
mod logging;
mod os_error;
mod output;
mod pager;
mod partial_file;
mod private_file;
mod progress;
mod prompt;
mod property_rules;
pub mod session;
mod settings;
mod signals;
mod sql_hint;
mod sql_property_hint;
mod start;
mod streams;
mod terminal;
mod text;

use std::ffi::OsString;
use std::io::Write as _;

use env::Environment;
pub use streams::note_closed_streams;

/// Runs a command line in this process, and returns the exit code. The first word is the program's name.
///
/// This changes the process as is right for a program of its own: it installs a panic hook, forbids core dumps, and
/// raises the limit of open files. Afterwards, threads of an abandoned fetch may still be running, so exit without
/// destructors. A second signal, and a panic for lack of threads, end the process at once.
///
/// Ctrl-C ends commands that have nothing to finish by its default action. A caller that has a handler for it, as
/// Python does, should restore the default action first.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<_> = words.into_iter().collect();
    let exit = start::guarded(|| app::run(Environment::read(words)));
    // Completions are written by `std`, which otherwise flushes only at the end of a Rust program.
    let _ = std::io::stdout().flush();
    exit.code()
}
