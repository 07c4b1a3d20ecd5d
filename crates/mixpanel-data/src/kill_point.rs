//! Places at which tests kill the program, to see that nothing is lost.
//!
//! Only a build with the feature `kill-points`, which nothing but `cargo xtask` makes, for tests, has them. There the variable
//! `MP_KILL_POINT` names the place, and after a colon how often it is passed before: `page-staged:3`.

/// Ends the process as SIGKILL does, if this is the place that was named.
#[cfg(feature = "kill-points")]
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
