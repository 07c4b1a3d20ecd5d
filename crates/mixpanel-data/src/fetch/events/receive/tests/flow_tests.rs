//! Waiting, stopping, and disks that are full.

use super::*;

#[tokio::test]
async fn a_stopped_slice_leaves_no_file() {
    let bench = Bench::new().await;
    let (head, sent) = response(&line(0, "a").repeat(30_000).into_bytes(), "", Framing::Length);
    let bytes = [head.as_slice(), &sent[..sent.len() - 1]].concat();
    *bench.server.response.lock().unwrap() = Response { bytes, hangs: true, ..Response::default() };
    let receiving = bench.receive();
    let started = async {
        while bench.files() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        received = receiving => panic!("{received:?}"),
        () = started => {}
    }
    // The thread that writes the slice ends by itself.
    while bench.files() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_sends_nothing_more_is_given_up() {
    let soon = Duration::from_millis(200);
    let timeouts =
        Timeouts { connect: CONNECT_TIMEOUT, export_first_byte: soon, export_idle: soon, ..Timeouts::default() };
    let bench = Bench::with(timeouts).await;
    let (head, sent) = response(line(0, "a").as_bytes(), "", Framing::Length);
    for (bytes, what) in [
        (Vec::new(), "the first byte did not arrive within 0.2s"),
        ([head.as_slice(), &sent[..9]].concat(), "the next part of the response did not arrive within 0.2s"),
    ] {
        *bench.server.response.lock().unwrap() = Response { bytes, hangs: true, ..Response::default() };
        let failure = bench.failure().await;
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Timeout, what));
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let mut bench = Bench::new().await;
    let (head, sent) = response(&gzip([line(0, "a"), line(1, "b")].concat().as_bytes()), GZIP, Framing::Chunked(5));
    let bytes = [head, sent].concat();
    *bench.server.response.lock().unwrap() = Response { bytes, piece: Some(1), hangs: false };
    let received = bench.receive().await.unwrap();
    assert_eq!(bench.stage(received).len(), 2);
}

#[tokio::test]
async fn a_stage_that_cannot_be_written_is_no_failure_of_the_request() {
    let bench = Bench::new().await;
    let (head, sent) = response(line(0, "a").as_bytes(), "", Framing::Length);
    bench.server.sends([head, sent].concat());
    let directory = bench.stage.page_path(0).parent().unwrap().to_owned();
    std::fs::remove_dir_all(directory).unwrap();
    match bench.receive().await {
        Err(ReceiveFailure::Storage(error)) => assert_eq!(error.kind(), ErrorKind::Storage),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_are_received_side_by_side() {
    let bench = Bench::new().await;
    let lines: String = (0..5_000).map(|number| line(number, "text")).collect();
    let (head, sent) = response(&gzip(lines.as_bytes()), GZIP, Framing::Chunked(4_096));
    bench.server.sends([head, sent].concat());
    let slices = (0..12_u32).map(|part| {
        let (client, directory) = (bench.client.clone(), bench.stage.slice_directory());
        tokio::spawn(async move {
            let request = SliceRequest { part, ..request() };
            receive(&client, &request, &EventReading::default(), directory).await.unwrap().facts
        })
    });
    for (slice, part) in slices.collect::<Vec<_>>().into_iter().zip(0..) {
        let facts = slice.await.unwrap();
        assert_eq!((facts.part, facts.rows, facts.without_distinct_id), (part, 5_000, 5_000));
    }
    assert_eq!(bench.files(), 0);
}
