//! What a process uses, as Linux tells it in `/proc`. Elsewhere nothing is known.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a process is looked at. Its last moments are missed by at most this much.
const INTERVAL: Duration = Duration::from_millis(10);

/// One tick of the processor times in `/proc/PID/stat`: Linux shows them in hundredths of a second (proc(5), `USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What a process has used up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// The most memory that it held at once, in KiB.
    pub(super) peak_kib: Option<u64>,
    /// Processor time of all its threads, in the program and in the kernel.
    pub(super) cpu: Option<Duration>,
}

impl Usage {
    /// Looks at a process; keeps what was known if it has gone.
    fn look_at(&mut self, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        self.peak_kib = status.ok().as_deref().and_then(peak_kib).or(self.peak_kib);
        self.cpu = cpu_of(pid).or(self.cpu);
    }
}

/// Looks at a process again and again, until it is asked for what it saw.
#[derive(Debug)]
pub(super) struct Watch {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Usage>,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn begin(pid: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut usage = Usage::default();
            loop {
                usage.look_at(pid);
                if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return usage;
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends watching and returns the last that was seen.
    pub(super) fn end(self) -> Usage {
        drop(self.stop);
        self.thread.join().expect("looking at files does not panic")
    }
}

/// Returns the processor time that a process has used up to now.
pub(super) fn cpu_of(pid: u32) -> Option<Duration> {
    cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the greatest resident memory from the text of `/proc/PID/status`; none for a process that is ending.
fn peak_kib(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// Reads the processor time from the text of `/proc/PID/stat`.
fn cpu(stat: &str) -> Option<Duration> {
    // The name of the program comes second, in brackets, and may hold blanks and brackets itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime and stime are fields 14 and 15 of the line; the first behind the name is field 3.
    let mut times = after_name.split_whitespace().skip(14 - 3).map(str::parse::<u32>);
    let user = times.next()?.ok()?;
    let system = times.next()?.ok()?;
    Some(TICK * user + TICK * system)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4242 (mp) S 1 4242 4242 0 -1 4194304 9001 0 12 0 153 27 0 0 20 0 9 0 771 95000000 4000 18446744073709551615";

    #[test]
    fn peak_memory_is_the_high_water_mark_and_not_the_present_size() {
        let status = "Name:\tmp\nVmPeak:\t  999999 kB\nVmHWM:\t  131072 kB\nVmRSS:\t   65536 kB\nThreads:\t9\n";
        assert_eq!(peak_kib(status), Some(131_072));
    }

    #[test]
    fn a_process_that_is_ending_has_no_memory() {
        assert_eq!(peak_kib("Name:\tmp\nState:\tZ (zombie)\nThreads:\t1\n"), None);
        assert_eq!(peak_kib("VmHWM:\t\n"), None);
    }

    #[test]
    fn processor_time_is_that_of_program_and_kernel() {
        assert_eq!(cpu(STAT), Some(Duration::from_millis(1_800)));
    }

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        assert_eq!(cpu(&STAT.replace("(mp)", "(m) p (1 2)")), Some(Duration::from_millis(1_800)));
    }

    #[test]
    fn a_line_that_is_cut_says_nothing() {
        for stat in ["", "4242", "4242 (mp", "4242 (mp) S 1", STAT.split(" 153").next().unwrap()] {
            assert_eq!(cpu(stat), None, "{stat}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_runs_is_seen() {
        let usage = Watch::begin(std::process::id()).end();
        assert!(usage.peak_kib.is_some_and(|kib| kib > 100), "{usage:?}");
        assert!(usage.cpu.is_some() && cpu_of(std::process::id()) >= usage.cpu, "{usage:?}");
    }

    #[test]
    fn a_process_that_is_not_there_uses_nothing_known() {
        assert_eq!(Watch::begin(u32::MAX).end(), Usage::default());
    }
}
