//! Instruction counts of the steps of a fetch, measured by valgrind. `cargo xtask prove instructions` compares them
//! with `instructions.json`.
//!
//! Unlike times, the counts are reproducible, whatever else the machine does: the pages are fixed, everything runs in
//! one thread, and gungraun clears the environment and disables address space randomization. `memcpy` and `memchr`
//! select their code by processor; valgrind emulates the same one everywhere, provided that the real one has AVX2.
//! Waiting for the disk costs no instructions.
#![expect(missing_docs, reason = "what gungraun's macros make has no documentation")]

use std::hint::black_box;
use std::path::Path;

use gungraun::prelude::*;
use mixpanel_bench::bodies;
use mixpanel_data::benchmarks::{Staging, parse};
use mixpanel_data::{ProfileWriteTask, Result};
use tempfile::TempDir;

fn body() -> String {
    bodies(1).remove(0)
}

#[library_benchmark]
#[bench::page(body())]
fn parse_page(body: String) -> (String, Result<ProfileWriteTask>) {
    let page = parse(black_box(&body), 0);
    // Returned, so that dropping it is not counted.
    (body, page)
}

/// A page and the stage to write it to.
struct Staged {
    page: ProfileWriteTask,
    staging: Staging,
    _directory: TempDir,
}

fn staged() -> Staged {
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a directory");
    let staging = Staging::create(&directory.path().join("x.db")).expect("a stage");
    Staged { page: parse(&body(), 0).expect("a page"), staging, _directory: directory }
}

#[library_benchmark]
#[bench::page(staged())]
fn stage_page(mut staged: Staged) -> (Staged, Result<()>) {
    let done = staged.staging.write(black_box(&staged.page));
    (staged, done)
}

library_benchmark_group!(name = steps, benchmarks = [parse_page, stage_page]);

main!(library_benchmark_groups = steps);
