//! Times of the steps of a fetch. `cargo bench -p mixpanel-bench --bench times` takes less than a minute once built.

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use flate2::Compression;
use flate2::write::GzEncoder;
use mixpanel_bench::{PROFILES, bodies};
use mixpanel_data::benchmarks::{Staging, parse, read_export};
use mixpanel_data::{ProfileWriteTask, Result};
use tempfile::TempDir;

/// Number of pages per load.
const LOADED: u64 = 100;

/// Number of events per export.
const EVENTS: u64 = 100_000;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().warm_up_time(Duration::from_secs(1)).configure_from_args();
    let bodies = bodies(LOADED);
    let pages: Result<Vec<_>> = (0..).zip(&bodies).map(|(index, body)| parse(body, index)).collect();
    bench_parse(&mut criterion, &bodies[0]);
    bench_stage(&mut criterion, &pages?)?;
    bench_export(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn bench_parse(criterion: &mut Criterion, body: &str) {
    let mut group = criterion.benchmark_group("parse");
    group.measurement_time(Duration::from_secs(5)).throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("a page", |bencher| bencher.iter_with_large_drop(|| parse(black_box(body), 0)));
    group.finish();
}

fn bench_stage(criterion: &mut Criterion, pages: &[ProfileWriteTask]) -> Result<()> {
    let directory = directory();
    let mut staging = Staging::create(&directory.path().join("x.db"))?;
    for page in pages {
        staging.write(page)?;
        staging.count(page);
    }

    let mut group = criterion.benchmark_group("stage");
    group.measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(PROFILES));
    let mut next = pages.iter().cycle();
    group.bench_function("a page", |bencher| {
        bencher.iter(|| staging.write(next.next().expect("it has no end")).expect("a page can be written"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("load");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(15));
    group.throughput(Throughput::Elements(LOADED * PROFILES));
    group.bench_function("100 pages into a new file", |bencher| {
        let load =
            |directory: &mut TempDir| staging.load(&directory.path().join("x.db")).expect("the pages can be loaded");
        // The directory is removed after the measurement.
        bencher.iter_batched_ref(self::directory, load, BatchSize::PerIteration);
    });
    group.finish();
    Ok(())
}

/// Reads an export, and writes its events to the files of a slice.
fn bench_export(criterion: &mut Criterion) -> Result<()> {
    let directory = directory();
    let staging = Staging::create(&directory.path().join("x.db"))?;
    let names = ["App Open", "View Item", "Add to Cart", "Purchase", "Sign Up", "Page View"];
    let body: String = (0..EVENTS).zip(names.iter().cycle()).map(|(number, name)| event(number, name)).collect();

    let mut group = criterion.benchmark_group("export");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("100,000 events", |bencher| {
        bencher.iter(|| read_export(black_box(body.as_bytes()), &staging, 0).expect("the export can be read"));
    });
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(body.as_bytes()).expect("memory can be written to");
    let compressed = compressed.finish().expect("memory can be written to");
    group.bench_function("100,000 events, gzip", |bencher| {
        bencher.iter(|| read_export(black_box(compressed.as_slice()), &staging, 0).expect("the export can be read"));
    });
    group.finish();
    Ok(())
}

/// Returns the line of an event of about 340 bytes.
fn event(number: u64, name: &str) -> String {
    let (time, user) = (1_767_225_600_000 + number * 7_919 % (31 * 86_400_000), number * 31 % 50_000);
    let (received, amount, insert_id) = (time + 1_234, number % 977, number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    format!(
        r#"{{"event":"{name}","properties":{{"time":{time},"distinct_id":"user-{user:08x}","$device_id":"{user:012x}","#
    ) + &format!(
        r#""$insert_id":"{insert_id:016x}-{user:04x}","$mp_api_timestamp_ms":{received},"mp_processing_time_ms":{time},"#
    ) + &format!(
        r#""mp_country_code":"PT","$city":"Lisboa","$browser":"Chrome","$os":"Mac OS X","plan":"pro","amount":{amount}.50}}}}"#
    ) + "\n"
}

/// Creates a directory on the disk of the target directory. `/tmp` is often in memory, where syncing takes no time.
fn directory() -> TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the target directory can be written to")
}
