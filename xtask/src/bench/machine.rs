//! What one must know in order to compare the numbers with others.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine, the day and the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    processor: String,
    cores: String,
    memory: String,
    kernel: String,
    date: String,
    commit: String,
}

impl Machine {
    /// Looks around; `root` is the folder of the code.
    pub(super) fn look(root: &Path) -> Self {
        let read = |name| fs::read_to_string(name).unwrap_or_default();
        let asked = |program, args: &[&str]| printed(program, args, root);
        let commit = asked("git", &["rev-parse", "--short=12", "HEAD"]);
        let changed = asked("git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
        let cores = std::thread::available_parallelism().ok().map(|cores| cores.to_string());
        Self {
            processor: or_unknown(processor(&read("/proc/cpuinfo"))),
            cores: or_unknown(cores),
            memory: or_unknown(memory(&read("/proc/meminfo"))),
            kernel: or_unknown(asked("uname", &["-sr"])),
            date: or_unknown(asked("date", &["-u", "+%Y-%m-%d"])),
            commit: or_unknown(commit.map(|commit| if changed { format!("{commit} with changes") } else { commit })),
        }
    }

    /// Says it in a line.
    pub(super) fn line(&self) -> String {
        let Self { processor, cores, memory, kernel, date, commit } = self;
        format!(
            "{processor}, processors: {cores}, shared with the simulator; memory: {memory}; {kernel}; {date}; commit {commit}."
        )
    }
}

/// The load average of the last minute, where there is one.
pub(super) fn load_average() -> Option<String> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next().map(str::to_owned)
}

/// The first line that a program prints; none if it prints nothing or fails.
fn printed(program: &str, args: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(folder).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    line.filter(|_| output.status.success()).map(str::to_owned)
}

/// Reads the model from the text of `/proc/cpuinfo`.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Reads the size from the text of `/proc/meminfo`.
fn memory(meminfo: &str) -> Option<String> {
    let kib: u64 =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{} GiB", (kib + (1 << 19)) >> 20))
}

fn or_unknown(found: Option<String>) -> String {
    found.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_what_linux_tells() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nprocessor\t: 1\nmodel name\t: Some CPU @ 2.00GHz\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("Some CPU @ 2.00GHz"));
        assert_eq!(memory("MemTotal:       24682152 kB\nMemFree: 1 kB\n").as_deref(), Some("24 GiB"));
        assert_eq!(processor(""), None);
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn what_is_not_known_is_said_and_no_failure() {
        assert_eq!(printed("no-such-program", &[], Path::new(".")), None);
        let machine = Machine::look(Path::new("/"));
        assert!(machine.line().contains("commit unknown") || machine.commit != "unknown", "{}", machine.line());
    }

    #[cfg(unix)]
    #[test]
    fn what_a_failing_program_prints_does_not_count() {
        assert_eq!(printed("sh", &["-c", "echo x"], Path::new(".")).as_deref(), Some("x"));
        assert_eq!(printed("sh", &["-c", "echo x; exit 1"], Path::new(".")), None);
        assert_eq!(printed("true", &[], Path::new(".")), None);
    }
}
