//! Runs the examples against a simulator.

#[expect(dead_code, reason = "its `main` reads the environment")]
#[path = "../../examples/fetch.rs"]
mod fetch;
#[expect(dead_code, reason = "its `main` reads the environment")]
#[path = "../../examples/resume.rs"]
mod resume;

use crate::harness::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_fetch_and_resume() {
    let bench = Bench::with_faults(2_500, &["pages=1 status=401 times=1"]).await;
    let workspace = bench.workspace();
    assert!(fetch::fetch(&workspace).await.is_err());
    assert_eq!(resume::resume(&workspace).await.expect("it resumes"), 1);
    let rows = || workspace.sql_scalar("SELECT count(*) FROM profiles").expect("a table");
    assert_eq!(rows(), 2_500);
    fetch::fetch(&workspace).await.expect("it replaces the table");
    assert_eq!(rows(), 2_500);
    assert_eq!(resume::resume(&workspace).await.expect("there is nothing to resume"), 0);
}
