//! Parses the options of the events written as words on a line.

use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::config::SimulatorConfig;
use crate::duration::parse_duration;
use crate::event_options::{EventOptions, ExportLimitStyle, FinalNewline, Revision, RowOrder, TimeUnit};
use crate::events::OddEvent;
use crate::fault::{number, words};

/// All words, with the form of their value.
const WORDS: [&str; 26] = [
    "per-day=N",
    "timezone=ZONE",
    "elapsed=TIME",
    "clean",
    "duplicates=SHARE",
    "conflicts=SHARE",
    "without-insert-id=SHARE",
    "late=SHARE",
    "late-rows=SHARE",
    "deleted-rows=SHARE",
    "rekeyed=SHARE",
    "revision=N",
    "on-refetch",
    "odd",
    "history-days=N",
    "shuffled",
    "seconds",
    "gzip-threshold=N",
    "gzip-level=N",
    "gzip-members=N",
    "framing=chunked|content-length|close",
    "chunk-size=N",
    "no-final-newline",
    "limit-style=json|json-retry-after|text|text-retry-after",
    "per-second=N|off",
    "concurrency=N|off",
];

/// Changes to the options of events, written as words such as `per-day=20000 late-rows=0.02 shuffled`.
///
/// A word that is not listed here sets the field of [`EventOptions`] with its name:
///
/// - `clean` sets `duplicates`, `conflicts`, `without-insert-id` and `late` as in [`EventOptions::clean`];
/// - `odd` sets [`EventOptions::odd`] to all kinds of odd lines;
/// - `on-refetch` is [`Revision::OnRefetch`], which `late-rows`, `deleted-rows` and `rekeyed` imply unless there is a
///   `revision`;
/// - `shuffled` is [`RowOrder::Shuffled`], `seconds` is [`TimeUnit::AlwaysSeconds`], and `no-final-newline` is
///   [`FinalNewline::Missing`];
/// - `per-second` and `concurrency` set [`SimulatorConfig::export_per_second`] and
///   [`SimulatorConfig::export_concurrency`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWords(Vec<String>);

impl FromStr for EventWords {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words = Self(words(line)?);
        // Finds the mistakes.
        words.try_apply(&mut SimulatorConfig::default())?;
        Ok(words)
    }
}

impl EventWords {
    /// Makes the changes.
    pub fn apply(&self, config: &mut SimulatorConfig) {
        // The words were checked when they were parsed, and their effect does not depend on the configuration.
        let applied = self.try_apply(config);
        debug_assert_eq!(applied, Ok(()));
    }

    fn try_apply(&self, config: &mut SimulatorConfig) -> Result<(), String> {
        let has = |name: &str| self.0.iter().any(|word| word.split('=').next() == Some(name));
        if ["late-rows", "deleted-rows", "rekeyed"].into_iter().any(has) && !has("revision") {
            config.events.revision = Revision::OnRefetch;
        }
        for word in &self.0 {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let known = WORDS.iter().find(|known| known.split('=').next() == Some(name));
            let known = known.ok_or_else(|| format!("unknown word {name:?}; expected {}", WORDS.join(", ")))?;
            match value {
                Some(value) if known.contains('=') => set(config, name, value)?,
                None if !known.contains('=') => flag(config, name),
                _ => return Err(format!("expected {known}, got {word:?}")),
            }
        }
        Ok(())
    }
}

fn flag(config: &mut SimulatorConfig, name: &str) {
    let events = &mut config.events;
    match name {
        "clean" => {
            let EventOptions { duplicates, conflicts, without_insert_id, late, .. } = EventOptions::clean();
            (events.duplicates, events.conflicts) = (duplicates, conflicts);
            (events.without_insert_id, events.late) = (without_insert_id, late);
        }
        "on-refetch" => events.revision = Revision::OnRefetch,
        "odd" => events.odd = OddEvent::ALL.to_vec(),
        "shuffled" => events.order = RowOrder::Shuffled,
        "seconds" => events.time_unit = TimeUnit::AlwaysSeconds,
        _ => events.final_newline = FinalNewline::Missing,
    }
}

fn set(config: &mut SimulatorConfig, name: &str, value: &str) -> Result<(), String> {
    let events = &mut config.events;
    match name {
        "per-day" => events.per_day = Some(number(name, value)?),
        "timezone" => {
            let unknown = |_| format!("timezone: expected an IANA name such as Europe/Berlin, got {value:?}");
            events.timezone = TimeZone::get(value).map_err(unknown)?;
        }
        "elapsed" => events.elapsed = parse_duration(value).map_err(|error| format!("elapsed: {error}"))?,
        "duplicates" => events.duplicates = share(name, value)?,
        "conflicts" => events.conflicts = share(name, value)?,
        "without-insert-id" => events.without_insert_id = share(name, value)?,
        "late" => events.late = share(name, value)?,
        "late-rows" => events.late_rows = share(name, value)?,
        "deleted-rows" => events.deleted_rows = share(name, value)?,
        "rekeyed" => events.rekeyed = share(name, value)?,
        "revision" => events.revision = Revision::Fixed(number(name, value)?),
        "history-days" => events.history_days = Some(number(name, value)?),
        "gzip-threshold" => events.gzip_threshold = number(name, value)?,
        "gzip-level" => events.gzip_level = number(name, value)?,
        "gzip-members" => events.gzip_members = number(name, value)?,
        "framing" => events.framing = value.parse()?,
        "chunk-size" => events.chunk_size = number(name, value)?,
        "limit-style" => {
            events.limit_style = match value {
                "json" => ExportLimitStyle::Json,
                "json-retry-after" => ExportLimitStyle::JsonWithRetryAfter,
                "text" => ExportLimitStyle::Text,
                "text-retry-after" => ExportLimitStyle::TextWithRetryAfter,
                _ => {
                    return Err(format!(
                        "limit-style: expected json or text, perhaps with -retry-after, got {value:?}"
                    ));
                }
            }
        }
        "per-second" => config.export_per_second = limit(name, value)?,
        _ => config.export_concurrency = limit(name, value)?,
    }
    Ok(())
}

fn share(name: &str, text: &str) -> Result<f64, String> {
    let share: f64 = number(name, text)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("{name}: expected a share from 0 to 1, got {text:?}"))
    }
}

fn limit(name: &str, text: &str) -> Result<Option<u32>, String> {
    if text == "off" { Ok(None) } else { number(name, text).map(Some) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event_options::ExportFraming;

    fn applied(line: &str) -> SimulatorConfig {
        let mut config = SimulatorConfig::default();
        line.parse::<EventWords>().unwrap_or_else(|error| panic!("{line}: {error}")).apply(&mut config);
        config
    }

    #[test]
    fn every_word_changes_something() {
        let unchanged = SimulatorConfig::default();
        let all = "per-day=9 timezone=Asia/Tokyo elapsed=1d duplicates=0.5 conflicts=0.25 without-insert-id=1 late=0 late-rows=0.1 \
                   deleted-rows=0.2 rekeyed=0.3 revision=2 odd history-days=30 shuffled seconds gzip-threshold=0 gzip-level=9 gzip-members=3 \
                   framing=close chunk-size=7 no-final-newline limit-style=text-retry-after per-second=off concurrency=1";
        let events = applied(all).events;
        assert_eq!((events.per_day, events.elapsed), (Some(9), Duration::from_secs(86_400)));
        assert_eq!((events.late_rows, events.deleted_rows, events.rekeyed), (0.1, 0.2, 0.3));
        assert_eq!((events.revision, events.odd.len()), (Revision::Fixed(2), OddEvent::ALL.len()));
        assert_eq!((events.framing, events.chunk_size), (ExportFraming::CloseDelimited, 7));
        assert_eq!((applied(all).export_per_second, applied(all).export_concurrency), (None, Some(1)));
        for word in words(&format!("{all} clean on-refetch")).expect("words") {
            let changed = applied(&word);
            let is_changed = changed.events != unchanged.events
                || changed.export_per_second != unchanged.export_per_second
                || changed.export_concurrency != unchanged.export_concurrency;
            assert!(is_changed, "{word}");
            assert!(WORDS.iter().any(|known| known.split('=').next() == word.split('=').next()), "{word}");
        }
        assert_eq!(words(all).expect("words").len() + 2, WORDS.len());
        assert_eq!(applied("clean").events, EventOptions::clean());
        assert_eq!(applied("late-rows=0.1").events.revision, Revision::OnRefetch);
        assert_eq!(applied("").events, unchanged.events);
    }

    #[test]
    fn wrong_words_are_refused() {
        for (line, message) in [
            ("events=5", "unknown word \"events\"; expected per-day=N, timezone=ZONE"),
            ("shuffled=1", "expected shuffled, got \"shuffled=1\""),
            ("per-day", "expected per-day=N, got \"per-day\""),
            ("per-day=-1", "per-day: expected a number, got \"-1\""),
            ("late=2", "late: expected a share from 0 to 1"),
            ("late=NaN", "late: expected a share from 0 to 1"),
            ("timezone=Mars/Olympus", "timezone: expected an IANA name"),
            ("elapsed=5", "elapsed: cannot read the duration"),
            ("framing=none", "framing: expected"),
            ("limit-style=xml", "limit-style: expected"),
            ("per-second=fast", "per-second: expected a number"),
        ] {
            let error = line.parse::<EventWords>().expect_err(line);
            assert!(error.starts_with(message), "{line}: {error}");
        }
    }
}
