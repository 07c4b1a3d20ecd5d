//! The quota ledger, from the perspective of a caller of the library.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use mixpanel_data::ProfileFetch;

use crate::harness::Bench;

/// Locks the ledger in this directory for almost as long as other processes wait for it.
fn hold(state: &Path) {
    let paths = std::fs::read_dir(state).expect("the directory").map(|entry| entry.expect("an entry").path());
    let locks: Vec<_> = paths.filter(|path| path.extension().is_some_and(|own| own == "lock")).collect();
    let [lock] = locks.as_slice() else { panic!("{locks:?}") };
    let file = File::options().write(true).open(lock).expect("the lock file");
    file.lock().expect("it is free");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(900));
        drop(file);
    });
}

/// Runs `work` with a timer that fires every 5 ms, and returns the longest time between two ticks.
async fn longest_stall(work: impl Future<Output = ()>) -> Duration {
    let mut longest = Duration::ZERO;
    let mut work = std::pin::pin!(work);
    loop {
        let begun = Instant::now();
        tokio::select! {
            () = &mut work => return longest.max(begun.elapsed()),
            () = tokio::time::sleep(Duration::from_millis(5)) => longest = longest.max(begun.elapsed()),
        }
    }
}

/// The runtime of this test has one thread, so blocking on the ledger would block the timer too.
#[tokio::test]
async fn a_ledger_that_another_process_holds_does_not_block_the_runtime() {
    let bench = Bench::with_faults(2_500, &[]).await;
    let state = bench.directory.path().join("state");
    let workspace = bench.workspace().with_state_directory(&state);
    workspace.test_credentials().await.unwrap();

    hold(&state);
    let call = async { assert!(workspace.test_credentials().await.unwrap() > 0) };
    let standstill = longest_stall(call).await;
    assert!(standstill < Duration::from_millis(500), "a call: {standstill:?}");

    hold(&state);
    let fetch =
        async { assert_eq!(workspace.fetch_profiles(ProfileFetch::new("people")).await.unwrap().rows(), 2_500) };
    let standstill = longest_stall(fetch).await;
    assert!(standstill < Duration::from_millis(500), "a fetch: {standstill:?}");
}
