//! Points at which tests kill the program, to check that nothing is lost.
//!
//! They exist only in builds with the `kill-points` feature, which only `cargo xtask` creates, for tests. The variable
//! `MP_KILL_POINT` names the point and, after a colon, how many passes to skip: `page-staged:3`.

/// Kills the process with SIGKILL if `MP_KILL_POINT` names this point.
#[cfg(feature = "kill-points")]
#[expect(clippy::disallowed_methods, reason = "a test tells the program where to die through the environment")]
pub(crate) fn kill_point(place: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("MP_KILL_POINT") else { return };
    let (name, count) = wanted.split_once(':').unwrap_or((&wanted, "0"));
    let count: u32 = count.parse().unwrap_or(0);
    if name == place && PASSED.fetch_add(1, Ordering::SeqCst) == count {
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

/// Does nothing in this build.
#[cfg(not(feature = "kill-points"))]
#[inline]
pub(crate) fn kill_point(_place: &str) {}
