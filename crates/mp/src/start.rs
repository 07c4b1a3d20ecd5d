//! Prepares the process before anything else runs: resource limits, fatal signals and panics.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::Needs;
use crate::failure::{Exit, Failure};
use crate::os_error::{descriptors_hint, memory_limit, threads_hint};
use crate::streams::Stderr;
use crate::text::size;

/// Desired limit of open files, if the hard limit permits it.
const DESCRIPTORS_WANTED: u64 = 1024;

/// Number of threads that a command with a database or a network starts, for tokio, the stage and DuckDB.
const THREADS: usize = 8;

/// Prepares the process and runs the command. A panic is reported as a failure.
pub(crate) fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    std::panic::set_hook(Box::new(report_panic));
    keep_memory_private();
    keep_freed_memory();
    raise_descriptor_limit();
    survive_file_size_limit();
    // Unwind safe: no state of the closure is used afterwards.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::Failure)
}

/// Checks that the process can open the files, map the memory and start the threads that the command needs. If they are
/// missing, libraries panic or abort, sometimes after requests were already spent.
pub(crate) fn check_resources(needs: Needs) -> Result<(), Failure> {
    check_descriptors(needs.descriptors)?;
    check_memory(needs.memory)?;
    check_threads()
}

/// Checks that the current time fits into an HTTP header; the simulator's HTTP library panics otherwise.
pub(crate) fn check_clock() -> Result<(), Failure> {
    const YEAR_9999: Duration = Duration::from_secs(253_370_764_800);
    if SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| now < YEAR_9999) {
        return Ok(());
    }
    Err(Failure::new("this machine's clock is set to a year before 1970 or after 9998")
        .hint("set the clock, for example with `timedatectl set-ntp true`"))
}

fn check_descriptors(needed: usize) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    let held: std::io::Result<Vec<_>> = (0..needed).map(|_| stdin.as_fd().try_clone_to_owned()).collect();
    held.map(drop).map_err(|error| {
        Failure::new(format!(
            "too few file descriptors are available: {needed} are needed in addition to those that are open"
        ))
        .caused_by(&error)
        .hint(descriptors_hint())
    })
}

/// Checks the memory limit of the process, if there is one. It counts address space, and threads and DuckDB reserve
/// more of it than they use.
fn check_memory(needed: u64) -> Result<(), Failure> {
    let Some((limit, hint)) = memory_limit() else { return Ok(()) };
    let mut block = Vec::<u8>::new();
    let reserved = usize::try_from(needed).map_err(std::io::Error::other).and_then(|needed| {
        block.try_reserve_exact(needed).map_err(|_| std::io::Error::from_raw_os_error(Errno::NOMEM.raw_os_error()))
    });
    drop(std::hint::black_box(block));
    reserved.map_err(|error| {
        let (limit, needed) = (size(limit), size(needed));
        Failure::new(format!(
            "too little memory is available: {needed} are needed in addition to what the process uses already, and its limit is {limit}"
        ))
        .caused_by(&error)
        .hint(hint)
    })
}

fn check_threads() -> Result<(), Failure> {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let wait = |held: Arc<std::sync::Mutex<mpsc::Receiver<()>>>| {
        // Each thread waits until the channel is closed, so that all of them exist at the same time.
        move || drop(held.lock().map(|held| held.recv()))
    };
    let threads: Vec<_> =
        (0..THREADS).map(|_| std::thread::Builder::new().stack_size(64 << 10).spawn(wait(Arc::clone(&held)))).collect();
    drop(release);
    let mut result = Ok(());
    for thread in threads {
        match thread {
            Ok(thread) => drop(thread.join()),
            Err(error) => result = Err(error),
        }
    }
    result.map_err(|error| {
        Failure::new(format!("could not start {THREADS} threads")).caused_by(&error).hint(threads_hint())
    })
}

/// Shows a panic like any other failure.
fn report_panic(panic: &PanicHookInfo<'_>) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    // A panic often causes more panics, in threads that wait for the first one.
    if REPORTED.swap(true, Ordering::SeqCst) {
        return;
    }
    let message = panic.payload_as_str().unwrap_or("no reason given");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let cause = std::io::Error::other(message.to_owned());
    let mut is_shortage = true;
    let failure = if message.contains("Too many open files") {
        Failure::new("too few file descriptors are available").caused_by(&cause).hint(descriptors_hint())
    } else if message.contains("Resource temporarily unavailable") {
        Failure::new("could not start a thread").caused_by(&cause).hint(threads_hint())
    } else {
        is_shortage = false;
        Failure::new(format!("internal error at {place}"))
            .caused_by(&cause)
            .hint("this is a bug: please report it with the output of the same command run with `--verbose`")
    };
    let _closed = Stderr.write_all(failure.render(|label, _| label.to_owned()).as_bytes());
    if is_shortage {
        // A tokio runtime that lacks a thread hangs. The data on disk is always consistent.
        signal_hook::low_level::exit(i32::from(failure.exit.code()));
    }
}

/// Makes the allocator reuse page buffers instead of returning them to the kernel.
///
/// glibc raises its thresholds to the largest block freed so far, up to 32 MiB, and then keeps up to twice that size
/// (`mallopt(3)`, `M_MMAP_THRESHOLD`). Freeing one block is enough, and it is never written to. Other allocators are
/// not affected. For the savings, see decision 0008.
pub(crate) fn keep_freed_memory() {
    const BLOCK_BYTES: usize = 16 << 20;
    let mut block = Vec::<u8>::new();
    // With less memory than this, there is nothing to keep.
    if block.try_reserve_exact(BLOCK_BYTES).is_ok() {
        drop(std::hint::black_box(block));
    }
}

/// Keeps the secret out of core dumps and away from other processes of this user, if the system supports that.
fn keep_memory_private() {
    let _unchanged = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _unchanged = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Raises the soft limit of open files to [`DESCRIPTORS_WANTED`], within the hard limit.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS_WANTED, |maximum| maximum.min(DESCRIPTORS_WANTED));
    if current.is_some_and(|current| current < wanted) {
        let _unchanged = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Makes a write beyond `ulimit -f` fail with EFBIG, instead of SIGXFSZ ending the process without a message.
fn survive_file_size_limit() {
    // A no-op handler has this effect; safe Rust cannot set the signal to ignored.
    let _not_handled = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
