//! Runs a process to completion and measures its time, memory and processor time.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The sampling interval, which is also the longest time at the end of a process that can be missed.
const INTERVAL: Duration = Duration::from_millis(10);

/// The unit of the processor times in `/proc/PID/stat`: a hundredth of a second on Linux (proc(5), `USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// The resource usage of a process, from `/proc`; unknown on systems without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Peak resident memory, in KiB (`VmHWM`).
    pub(super) peak_kib: Option<u64>,
    /// Processor time of all threads, in user and kernel mode.
    pub(super) cpu: Option<Duration>,
}

impl Usage {
    /// Samples a process; keeps the previous values if it has exited.
    fn look_at(&mut self, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        self.peak_kib = status.ok().as_deref().and_then(peak_kib).or(self.peak_kib);
        self.cpu = cpu_of(pid).or(self.cpu);
    }
}

/// One run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// The wall time of the process, or the part of it that counts.
    pub(super) wall: Duration,
    pub(super) usage: Usage,
    /// Processor time of the simulator during the run.
    pub(super) simulator_cpu: Option<Duration>,
    /// Size of the database, in bytes.
    pub(super) database: u64,
}

/// One or more runs of the same command.
#[derive(Clone, Debug)]
pub(super) struct Runs(pub(super) Vec<Run>);

impl Runs {
    /// Calls `once` `count` times and prints each result under the name `what`. Stops at the first failure.
    pub(super) fn of(
        what: &str,
        count: usize,
        mut once: impl FnMut() -> Result<Run, Failure>,
    ) -> Result<Self, Failure> {
        let measured = (1..=count.max(1)).map(|number| {
            let run = once()?;
            eprintln!("bench: {what}: {:.2} s ({number} of {count})", run.wall.as_secs_f64());
            Ok(run)
        });
        measured.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the run with the median time; the faster of the middle two for an even number of runs.
    pub(super) fn median(&self) -> Run {
        let mut runs = self.0.clone();
        runs.sort_by_key(|run| run.wall);
        runs[(runs.len() - 1) / 2]
    }

    /// Returns the median time.
    pub(super) fn wall(&self) -> Duration {
        self.median().wall
    }

    /// Returns the highest memory peak of all runs.
    pub(super) fn peak_kib(&self) -> Option<u64> {
        self.0.iter().filter_map(|run| run.usage.peak_kib).max()
    }
}

/// Runs a command that must exit with `exit_code`. Returns its measurements and its output.
pub(super) fn timed(mut command: Command, exit_code: i32) -> Result<(Run, String), Failure> {
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| cannot_run(&command, &error))?;
    let (pid, has_ended) = (child.id(), AtomicBool::new(false));
    let (output, wall, usage) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut usage = Usage::default();
            while !has_ended.load(Ordering::Relaxed) {
                usage.look_at(pid);
                thread::sleep(INTERVAL);
            }
            usage
        });
        let output = child.wait_with_output();
        let wall = begun.elapsed();
        has_ended.store(true, Ordering::Relaxed);
        (output, wall, watch.join().expect("reading files does not panic"))
    });
    let printed = ended(&command, output, exit_code)?;
    Ok((Run { wall, usage, ..Run::default() }, printed))
}

/// Runs a command that must succeed, without measuring its resources. Returns its time and its output.
pub(super) fn quick(mut command: Command) -> Result<(Duration, String), Failure> {
    let begun = Instant::now();
    let output = command.output();
    let wall = begun.elapsed();
    Ok((wall, ended(&command, output, 0)?))
}

/// Runs a command `count` times and returns the median time.
pub(super) fn median(count: usize, command: impl Fn() -> Command) -> Result<Duration, Failure> {
    let mut times = (0..count).map(|_| Ok(quick(command())?.0)).collect::<Result<Vec<_>, Failure>>()?;
    times.sort();
    Ok(times[(times.len() - 1) / 2])
}

fn ended(command: &Command, output: io::Result<Output>, exit_code: i32) -> Result<String, Failure> {
    let output = output.map_err(|error| cannot_run(command, &error))?;
    if output.status.code() == Some(exit_code) {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (stderr, name, status) = (String::from_utf8_lossy(&output.stderr), name(command), output.status);
    Err(Failure::new(format!("{name} exited with {status} instead of exit code {exit_code}: {}", stderr.trim()))
        .hint("find the bug with `cargo xtask check`"))
}

fn cannot_run(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!("cannot run {}: {error}", name(command))).hint("try `cargo xtask mp --version`")
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the processor time that a process has used so far.
pub(super) fn cpu_of(pid: u32) -> Option<Duration> {
    cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses the peak resident memory from `/proc/PID/status`; `None` for a process that is exiting.
fn peak_kib(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// Parses the processor time from `/proc/PID/stat`.
fn cpu(stat: &str) -> Option<Duration> {
    // Field 2 is the program name in parentheses, and may itself contain spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime and stime are fields 14 and 15; the first field after the name is field 3.
    let mut times = after_name.split_whitespace().skip(14 - 3).map(str::parse::<u32>);
    Some(TICK * times.next()?.ok()? + TICK * times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_run_counts_and_the_greatest_memory() {
        let run = |milliseconds, peak_kib| Run {
            wall: Duration::from_millis(milliseconds),
            usage: Usage { peak_kib, cpu: None },
            ..Run::default()
        };
        let runs = Runs(vec![run(3_000, Some(90)), run(2_400, Some(100)), run(2_640, Some(80))]);
        assert_eq!((runs.median(), runs.peak_kib()), (run(2_640, Some(80)), Some(100)));
        assert_eq!(Runs(vec![run(3_000, None), run(2_500, None)]).median(), run(2_500, None));
    }

    #[test]
    fn usage_is_parsed_from_proc_files() {
        let status = "Name:\tmp\nVmPeak:\t  999999 kB\nVmHWM:\t  131072 kB\nVmRSS:\t   65536 kB\n";
        assert_eq!(peak_kib(status), Some(131_072));
        assert_eq!(peak_kib("Name:\tmp\nState:\tZ (zombie)\n"), None);
        let stat = "4242 (m) p (1 2)) S 1 4242 4242 0 -1 4194304 9001 0 12 0 153 27 0 0 20 0 9 0 771 95000000 4000";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1_800)));
        assert_eq!(cpu("4242 (mp) S 1"), None);
    }

    #[cfg(unix)]
    #[test]
    fn an_unexpected_exit_code_reports_stderr() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command
        };
        assert_eq!(timed(shell("echo 42; exit 2"), 2).unwrap().1, "42\n");
        let failure = timed(shell("echo alas >&2"), 1).unwrap_err().to_string();
        assert!(failure.contains("sh exited with") && failure.contains("alas"), "{failure}");
    }
}
