//! The error of an export that goes back further than the project's history.

use jiff::civil::Date;

use crate::error::{Error, ErrorKind};
use crate::event_query::Day;
use crate::text::counted;

/// Adds the first day that can be fetched to the error of a request that goes back too far; other errors stay as they
/// are. `today` is the project's day.
pub(in crate::fetch) fn with_first_day(error: Error, today: Date) -> Error {
    let Some(days) = error.history_days() else { return error };
    let first = Day::Ago(days).on(today);
    let kept = counted(days, "day");
    Error::new(ErrorKind::Rejected, format!("the project keeps {kept} of events, so {first} is the first day to fetch"))
        .with_detail("status_code", 403)
        .with_detail("max_history_days", days)
        .with_detail("first_day", first.to_string())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::api::{Failure, FailureKind};

    #[test]
    fn the_first_day_follows_from_the_number_of_days() {
        let today = date(2026, 3, 5);
        for (days, kept, first) in [
            (0, "0 days", date(2026, 3, 5)),
            (1, "1 day", date(2026, 3, 4)),
            (5, "5 days", date(2026, 2, 28)),
            (365, "365 days", date(2025, 3, 5)),
        ] {
            let refused = Failure::new(FailureKind::HistoryLimit { days }, "the server answered 403").into_error();
            let error = with_first_day(refused, today);
            assert_eq!(
                error.to_string(),
                format!("the project keeps {kept} of events, so {first} is the first day to fetch")
            );
            assert_eq!((error.kind(), error.status_code()), (ErrorKind::Rejected, Some(403)));
            assert_eq!((error.history_days(), error.first_day()), (Some(days), Some(first)));
            assert_eq!(
                std::error::Error::source(&error).map(ToString::to_string).as_deref(),
                Some("the server answered 403")
            );
        }
        let refused = Failure::new(FailureKind::HistoryLimit { days: u32::MAX }, "no").into_error();
        assert!(with_first_day(refused, today).first_day().is_some_and(|first| first < today));
        let other = with_first_day(Failure::new(FailureKind::Forbidden, "no").into_error(), today);
        assert_eq!((other.kind(), other.first_day()), (ErrorKind::Forbidden, None));
    }
}
