//! Streams events to the caller instead of loading them into a table.

use std::path::Path;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::clock::wall_clock;
use crate::counts::FetchCounts;
use crate::error::Result;
use crate::parse::RecordForm;
use crate::slice::Slice;
use crate::types::EventStreamResult;

use super::super::driver::Finished;
use super::super::ending::ending_error;
use super::super::into_table::earlier;
use super::super::ordered_output::RecordSink;
use super::super::request::Control;
use super::super::start::create_stream_stage;
use super::history::with_first_day;
use super::ordered_slices::{EventStream, Streamed, into_stream};
use super::ranges::date_ranges;
use super::request::EventsRequest;
use super::valid::ValidEvents;

/// Fetches events and passes them to `sink`, slice by slice in the order of their days. A slice is complete on disk
/// before its first event is passed on, because it might have to be requested again.
///
/// # Errors
/// Same as [`Workspace::stream_profiles`](crate::Workspace::stream_profiles).
pub(crate) async fn stream_events(
    client: &ApiClient,
    database: &Path,
    request: EventsRequest,
    mut control: Control,
    form: RecordForm,
    sink: RecordSink,
) -> Result<EventStreamResult> {
    let valid = ValidEvents::of_request(client, &request, &control, form).await?;
    let mut callbacks = std::mem::take(&mut control.callbacks);
    valid.announce(client, &mut callbacks);
    let manifest = valid.manifest(client, &request);
    let path = database.to_owned();
    let (stage, earlier) = blocking(move || {
        let mut stage = create_stream_stage(&path, manifest)?;
        let earlier = earlier(&mut stage, wall_clock())?;
        Ok((stage, earlier))
    })
    .await?;
    let run_id = stage.manifest().run_id.clone();
    let run = valid.into_run(client, &control, earlier, stage.slice_directory());
    let output = EventStream::new(stage, form, sink);
    let Finished { outcome, target: output, writer_error } = run.drive(output, into_stream, &mut callbacks).await?;
    let ending = writer_error.or_else(|| ending_error(&outcome));
    let Streamed { rows, batches, slices, events, ended } = blocking(move || Ok(output.finish())).await?;
    if let Some(error) = ending {
        return Err(with_first_day(error, request.query.timezone.today(wall_clock())));
    }
    let failed: Vec<Slice> =
        outcome.failed.keys().filter_map(|part| Some(slices.get(*part as usize)?.slice.clone())).collect();
    let limit = request.query.limit.map(u64::from);
    Ok(EventStreamResult {
        rows,
        successful_batches: batches,
        failed_date_ranges: date_ranges(&failed),
        date_range: (request.query.from.to_string(), request.query.to.to_string()),
        ended_early: ended,
        counts: FetchCounts { limit, ..outcome.counts.with_costs_of(&outcome.counts) },
        events,
        run_id,
    })
}

#[cfg(test)]
mod tests;
