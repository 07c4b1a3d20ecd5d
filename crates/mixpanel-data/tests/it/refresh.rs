//! Start times, samples and refreshes through the library.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixpanel_data::{ErrorKind, FetchEvent, IfExists, Note, ProfileFetch, Timestamp, Workspace};

use crate::harness::Bench;

/// Returns a fetch into `users`, and the notes that it reports.
fn fetch() -> (ProfileFetch, Arc<Mutex<Vec<Note>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notes);
    let fetch = ProfileFetch::new("users").on_event(move |event| {
        if let FetchEvent::Note(note) = event {
            seen.lock().expect("no panic").push(note.clone());
        }
    });
    (fetch, notes)
}

fn count(workspace: &Workspace) -> u64 {
    let count = workspace.sql_scalar("select count(*) from users").expect("a table");
    count.as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_resumes_then_updates() {
    let bench = Bench::with_faults(2_500, &["pages=1 status=401 times=1"]).await;
    let workspace = bench.workspace();
    let error = workspace.refresh_profiles(fetch().0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let (resumed, notes) = fetch();
    let result = workspace.refresh_profiles(resumed.parallel()).await.unwrap();
    let expected = Note::Resuming { run_id: result.run_id().to_owned(), pages_done: 1 };
    assert_eq!((notes.lock().unwrap().as_slice(), count(&workspace)), (&[expected][..], 2_500));
    let (update, notes) = fetch();
    workspace.refresh_profiles(update.full_every(Duration::from_secs(86_400))).await.unwrap();
    assert!(notes.lock().unwrap().iter().all(|note| matches!(note, Note::NothingNew { .. })));
    assert_eq!(count(&workspace), 2_500);
    let older =
        "UPDATE _fetches SET started_at = started_at - INTERVAL 2 DAY, run_id = '20200101' || substr(run_id, 9);
        UPDATE _metadata SET run_id = '20200101' || substr(run_id, 9)";
    duckdb::Connection::open(bench.database()).unwrap().execute_batch(older).unwrap();
    let (full, notes) = fetch();
    workspace.refresh_profiles(full.full_every(Duration::from_secs(86_400))).await.unwrap();
    assert!(matches!(notes.lock().unwrap().first(), Some(Note::FullLoadDue { last_full_at: Some(_), .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_arguments_are_rejected_before_any_request() {
    let bench = Bench::with_faults(10, &[]).await;
    let workspace = bench.workspace();
    let plain = || ProfileFetch::new("users");
    let (day, past, future) = (Duration::from_secs(86_400), Timestamp::UNIX_EPOCH, Timestamp::MAX);
    for fetch in [
        plain().since(future),
        plain().full_every(day),
        plain().since(past).full_every(day),
        plain().since_last_load().full_every(Duration::ZERO),
        plain().since_last_load().limit(5),
        plain().limit(0),
        plain().limit(5).if_exists(IfExists::Replace),
    ] {
        let shown = format!("{fetch:?}");
        assert_eq!(workspace.fetch_profiles(fetch).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{shown}");
    }
    for fetch in [plain().since(past), plain().since_last_load(), plain().if_exists(IfExists::Replace)] {
        let shown = format!("{fetch:?}");
        assert_eq!(workspace.refresh_profiles(fetch).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{shown}");
    }
    assert_eq!(bench.server.stats().requests, 0);
}
