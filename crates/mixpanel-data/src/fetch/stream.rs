//! Streams records to the caller in page order instead of loading them into a table.

use std::path::Path;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::counts::FetchCounts;
use crate::drift::allowed_drift;
use crate::error::{Error, Result};
use crate::parse::RecordForm;
use crate::types::ProfileStreamResult;

use super::core::Outcome;
use super::differences::{warn_of_differences, warn_of_duplicates};
use super::driver::{Finished, Run};
use super::ending::ending_error;
use super::ordered_output::{RecordSink, StreamOutput, Streamed, into_stream};
use super::request::{ProfileFetch, Since};
use super::rules::Rules;
use super::start::{check_full_every, check_raw, create_stream_stage, new_manifest, validate_fetch};

/// Fetches profiles and passes them to `sink` in page order.
pub(crate) async fn stream_profiles(
    client: &ApiClient,
    database: &Path,
    mut fetch: ProfileFetch,
    form: RecordForm,
    sink: RecordSink,
) -> Result<ProfileStreamResult> {
    if fetch.since == Since::LastLoad {
        return Err(Error::invalid("`--since last` requires a table; for a stream, filter by time instead"));
    }
    check_full_every(&fetch)?;
    let valid = validate_fetch(&mut fetch)?;
    check_raw(form, valid.rules.is_some())?;
    let mut callbacks = std::mem::take(&mut fetch.control.callbacks);
    valid.announce(client, &mut callbacks);
    let manifest = new_manifest(client, &fetch, &valid);
    let path = database.to_owned();
    let stage = blocking(move || create_stream_stage(&path, manifest)).await?;
    let run_id = stage.manifest().run_id.clone();
    let output = StreamOutput::new(stage, form, sink);
    let (mut outcome, output, ending) = if valid.request.is_empty {
        (Outcome::empty(), output, None)
    } else {
        let run = valid.into_run(client, &fetch.control, None);
        // Delivered records cannot be taken back, so a second session is not allowed.
        let run = Run { rules: Rules { restarts_max: 0, ..run.rules }, ..run.with_form(form) };
        let Finished { outcome, target: output, writer_error } = run.drive(output, into_stream, &mut callbacks).await?;
        let ending = writer_error.or_else(|| ending_error(&outcome));
        (outcome, output, ending)
    };
    let streamed = blocking(move || Ok(output.finish())).await?;
    let Streamed { rows, overlapping, repeated, unmatched, ended: ended_early } = streamed;
    if let Some(error) = ending {
        return Err(error);
    }
    let limit = fetch.query.limit;
    let is_compared = outcome.is_whole() && !ended_early && limit.is_none();
    if let Some(total) = outcome.counts.expected_rows.filter(|_| is_compared) {
        let missing = |repeated: u64| (total + repeated).saturating_sub(outcome.counts.received);
        if missing(overlapping) > allowed_drift(total, fetch.control.options.allow_drift) {
            // Once pages are known to overlap, every repeated profile counts.
            let shortfall = missing(repeated);
            outcome.lacks(shortfall);
        }
    }
    if !ended_early && limit.is_none() {
        warn_of_differences(&outcome, repeated, &mut callbacks);
        warn_of_duplicates(&outcome, repeated, fetch.control.options.allow_drift, &mut callbacks);
    }
    if outcome.is_whole() && !ended_early {
        let events = unmatched.events(&fetch.query, outcome.counts.received, outcome.counts.rejected);
        events.iter().for_each(|event| callbacks.tell(event));
    }
    Ok(ProfileStreamResult {
        rows,
        successful_pages: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX),
        failed_page_indices: outcome.failed.keys().copied().collect(),
        unchecked_page: outcome.unchecked_page,
        ended_early,
        counts: FetchCounts { limit, ..outcome.counts.with_costs_of(&outcome.counts) },
        run_id,
    })
}
