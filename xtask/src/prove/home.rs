//! A user's home, with one database, from which the program is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::simulator::Simulator;

use super::World;
use super::process::{Ended, Running};
use super::stage::{Staged, open_to_others};
use super::table::Table;
use super::traffic::{self, Traffic};

/// The table of all fetches, unless they need several.
pub(super) const TABLE: &str = "profiles";

/// A home that is empty at first. A server is there to fetch from.
pub(super) struct Home<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) server: &'a Simulator,
    pub(super) folder: PathBuf,
    pub(super) database: PathBuf,
    /// How many programs were started, to tell their output apart.
    started: AtomicUsize,
}

impl<'a> Home<'a> {
    /// Makes it; what was there before under this name goes.
    pub(super) fn new(world: &'a World<'a>, server: &'a Simulator, name: &str) -> Result<Self, String> {
        let folder = world.folder.join(name);
        let _ = fs::remove_dir_all(&folder);
        let data = folder.join("data");
        fs::create_dir_all(&data).map_err(|error| format!("cannot make {}: {error}", data.display()))?;
        Ok(Self { world, server, database: data.join("x.db"), folder, started: AtomicUsize::new(0) })
    }

    /// Begins with this database.
    pub(super) fn with_database(self, from: Option<&Path>) -> Result<Self, String> {
        if let Some(from) = from {
            fs::copy(from, &self.database).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
        }
        Ok(self)
    }

    /// The program, with nothing of the caller's own settings.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        self.command_on(&self.database, args)
    }

    /// The same with another database.
    pub(super) fn command_on(&self, database: &Path, args: &[&str]) -> Command {
        let mut command = self.world.cargo.linked(&self.world.mp);
        self.dress(&mut command);
        command.arg("--db").arg(database).args(args);
        command
    }

    /// Gives a command the environment of this home.
    pub(super) fn dress(&self, command: &mut Command) {
        self.server.point(command);
        // Colours and widths are those of a plain pipe; the home keeps the caller's accounts out.
        command.env("HOME", &self.folder).env("TMPDIR", &self.folder).env_remove("RUST_LOG").current_dir(&self.folder);
    }

    /// Starts a command.
    pub(super) fn start(&self, command: Command) -> Result<Running, String> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Running::start(command, &self.folder, &format!("{number:03}"))
    }

    /// Runs the program to its end.
    pub(super) fn run(&self, args: &[&str]) -> Result<Ended, String> {
        self.start(self.command(args))?.wait()
    }

    /// Runs, with a shell, a command that the program has printed.
    pub(super) fn run_printed(&self, line: &str) -> Result<Ended, String> {
        let mut command = self.world.cargo.linked(Path::new("sh"));
        self.dress(&mut command);
        command.args(["-c", line]);
        self.start(command)?.wait()
    }

    /// What is in the table.
    pub(super) fn table(&self) -> Result<Table, String> {
        Table::look(self, TABLE)
    }

    /// The pages that are staged.
    pub(super) fn staged(&self) -> Staged {
        Staged::look(&self.database)
    }

    /// Errs unless the table is this one.
    pub(super) fn expect_table(&self, expected: &Table) -> Result<(), String> {
        let found = self.table()?;
        if found == *expected { Ok(()) } else { Err(format!("the table is {found:?} instead of {expected:?}")) }
    }

    /// Runs a command that goes on with what is staged, and errs unless it asks for the missing pages only, ends with
    /// success and leaves this table and no run.
    pub(super) fn complete(
        &self,
        go_on: impl FnOnce() -> Result<Ended, String>,
        expected: &Table,
    ) -> Result<(), String> {
        let staged = self.staged().pages();
        traffic::reset(self.server)?;
        go_on()?.exits(0)?;
        Traffic::of(self.server)?.check(&staged)?;
        self.expect_table(expected)?;
        let left = self.unfinished()?;
        if left.is_empty() { Ok(()) } else { Err(format!("runs are unfinished after the end: {left:?}")) }
    }

    /// The runs that `mp fetch status` lists, after a look whether it tells the truth about them.
    pub(super) fn unfinished(&self) -> Result<Vec<Unfinished>, String> {
        let staged = self.staged();
        let ended = self.run(&["fetch", "status", "-f", "json"])?;
        ended.exits(0)?;
        let list: Vec<Value> = serde_json::from_str(&ended.stdout)
            .map_err(|error| format!("`mp fetch status` is no JSON ({error}): {}", ended.stdout))?;
        let runs: Vec<Unfinished> = list.iter().map(Unfinished::read).collect::<Result<_, _>>()?;
        let told: Vec<(&str, u64)> = {
            let mut told: Vec<_> = runs.iter().map(|run| (run.run_id.as_str(), run.pages_done)).collect();
            told.sort_unstable();
            told
        };
        let found: Vec<(&str, u64)> =
            staged.runs.iter().map(|(run_id, pages)| (run_id.as_str(), pages.len() as u64)).collect();
        if told != found {
            return Err(format!("`mp fetch status` says {told:?}, but {found:?} is there"));
        }
        Ok(runs)
    }

    /// Errs if somebody else could read what is there.
    pub(super) fn expect_private(&self) -> Result<(), String> {
        let open = open_to_others(&self.database);
        if open.is_empty() { Ok(()) } else { Err(format!("others can read {}", open.join(", "))) }
    }

    /// Keeps the folder for whoever looks into a violation.
    pub(super) fn keep(&self, name: &str) {
        let Some(parent) = self.world.folder.parent() else { return };
        let kept = parent.join("violations");
        let _ = fs::create_dir_all(&kept);
        let _ = fs::rename(&self.folder, kept.join(name));
    }
}

/// An unfinished run, as `mp fetch status` tells it.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) run_id: String,
    pub(super) pages_done: u64,
    /// None if nobody can go on with it.
    pub(super) resume_command: Option<String>,
}

impl Unfinished {
    fn read(record: &Value) -> Result<Self, String> {
        let read = || {
            Some(Self {
                run_id: record.get("run_id")?.as_str()?.to_owned(),
                pages_done: record.get("pages_done")?.as_u64()?,
                resume_command: record.get("resume_command")?.as_str().map(str::to_owned),
            })
        };
        let held = record.get("held_by").and_then(Value::as_u64);
        if let Some(pid) = held {
            return Err(format!("`mp fetch status` says that process {pid} works on a run, and it is dead"));
        }
        read().ok_or_else(|| format!("`mp fetch status` lists {record}"))
    }
}

/// Starts a simulator with these options, separated by blanks.
pub(super) fn serve(world: &World<'_>, options: &str, name: &str) -> Result<Simulator, String> {
    let folder = world.folder.join(format!("server-{name}"));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    Simulator::start(world.cargo, &world.mp, &options, &folder).map_err(|failure| failure.to_string())
}

/// The command that a fetch has printed as the way to go on.
pub(super) fn printed_resume(words: &str) -> Option<&str> {
    let end = words.rfind("` goes on")?;
    let begin = words[..end].rfind('`')?;
    Some(&words[begin + 1..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_read_out_of_the_hint() {
        let words = "error: no\nhint: make room\nhint: the 3 pages fetched so far are kept: `mp fetch resume t --db x.db` goes on\n";
        assert_eq!(printed_resume(words), Some("mp fetch resume t --db x.db"));
        assert_eq!(printed_resume("error: no"), None);
    }
}
