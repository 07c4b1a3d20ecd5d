//! Parses the notation of an export fault.

use std::str::FromStr;

use jiff::civil::Date;

use super::fault::{ExportFault, ExportFaultKind, SliceSelector};
use crate::event_options::ExportFraming;
use crate::fault::{FaultKind, Times, number, number_ranges, parse_kind, words};
use crate::limit_kind::LimitKind;

const FORM: &str = "expected requests, a fault and perhaps times, such as \"days=2026-01-05 times=2 cut=100\"";
const TERMINATED: &str = "export terminated early";
const ENDINGS: [(&str, &str); 4] = [
    ("terminated-early", TERMINATED),
    ("error-line", "{\"error\": \"An internal error occurred while running the export\"}\n"),
    ("cut-error-line", "{\"error\":"),
    ("cut-line", "{\"event\":\"App Open\",\"properties\":{\"ti"),
];
const NAMES: [(&str, ExportFaultKind); 9] = [
    ("reset", ExportFaultKind::Common(FaultKind::Reset)),
    ("html", ExportFaultKind::Common(FaultKind::Html)),
    ("empty", ExportFaultKind::Common(FaultKind::EmptyBody)),
    ("auth-400", ExportFaultKind::Common(FaultKind::AuthBadRequest)),
    ("hourly-limit", ExportFaultKind::Common(FaultKind::Limit(LimitKind::Hourly))),
    ("rate-limit", ExportFaultKind::Common(FaultKind::Limit(LimitKind::PerSecond))),
    ("concurrency-limit", ExportFaultKind::Common(FaultKind::Limit(LimitKind::Concurrency))),
    ("no-gzip-trailer", ExportFaultKind::GzipEnd { missing: 8 }),
    ("truncated-gzip", ExportFaultKind::GzipEnd { missing: 40 }),
];
/// The number of rows before an ending if the fault does not say it.
const ROWS: u64 = 100;

impl FromStr for ExportFault {
    type Err = String;

    /// Parses the notation described at [`ExportFault`].
    fn from_str(line: &str) -> Result<Self, String> {
        let words = words(line)?;
        if words.is_empty() {
            return Err(format!("the fault is empty; {FORM}"));
        }
        let mut fields = Fields::default();
        for word in &words {
            let (name, value) = word.split_once('=').unwrap_or(("fault", word));
            if name != "header" && fields.seen.contains(&name) {
                return Err(format!("{name} is given twice; {FORM}"));
            }
            fields.seen.push(name);
            fields.set(name, value)?;
        }
        fields.finish()
    }
}

#[derive(Default)]
struct Fields<'a> {
    seen: Vec<&'a str>,
    slices: Vec<SliceSelector>,
    probability: Option<f64>,
    seed: Option<u64>,
    times: Times,
    total: Option<u32>,
    rows: Option<u64>,
    text: Option<&'a str>,
    framing: Option<ExportFraming>,
    name: Option<&'a str>,
    /// The fields of a fault that pages have too.
    common: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &'a str, value: &'a str) -> Result<(), String> {
        match name {
            "requests" => self.slices.push(SliceSelector::Requests(number_ranges(name, value)?)),
            "first" => match number(name, value)? {
                0 => return Err("first: expected a number from 1".to_owned()),
                first => self.slices.push(SliceSelector::Requests(vec![0..=first - 1_u64])),
            },
            "every" => match number(name, value)? {
                0 => return Err("every: expected a number from 1".to_owned()),
                every => self.slices.push(SliceSelector::Every(every)),
            },
            "days" => self.slices.push(SliceSelector::Days(days(value)?)),
            "longer" => self.slices.push(SliceSelector::LongerThan(number(name, value)?)),
            "probability" => self.probability = Some(number(name, value)?),
            "seed" => self.seed = Some(number(name, value)?),
            "times" if value == "always" => {}
            "times" => self.times = Times::PerPage(number(name, value)?),
            "total" if value == "always" => {}
            "total" => self.total = Some(number(name, value)?),
            "rows" => self.rows = Some(number(name, value)?),
            "text" => self.text = Some(value),
            "framing" => self.framing = Some(value.parse()?),
            "fault" => self.name = Some(value),
            "status" | "body" | "header" | "cut" | "stall" | "for" | "delay" => self.common.push((name, value)),
            _ => return Err(format!("unknown field {name:?}; {FORM}")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ExportFault, String> {
        match (self.probability, self.seed) {
            (None, Some(_)) => return Err("seed belongs to probability".to_owned()),
            (None, None) => {}
            (Some(probability), _) if !(0.0..=1.0).contains(&probability) => {
                return Err(format!("probability: expected a number from 0 to 1, got {probability}"));
            }
            (Some(probability), seed) => {
                self.slices.push(SliceSelector::Random { probability, seed: seed.unwrap_or(0) });
            }
        }
        let kind = self.kind()?;
        if self.framing.is_some() && !matches!(kind, ExportFaultKind::Cut { .. }) {
            return Err("framing belongs to cut".to_owned());
        }
        if self.rows.is_some() && !matches!(kind, ExportFaultKind::Ending { .. }) {
            return Err("rows belongs to terminated-early, error-line, cut-error-line and cut-line".to_owned());
        }
        if self.text.is_some() && self.name != Some("terminated-early") {
            return Err("text belongs to terminated-early".to_owned());
        }
        Ok(ExportFault { slices: self.slices, times: self.times, total: self.total, kind })
    }

    fn kind(&self) -> Result<ExportFaultKind, String> {
        let Some(name) = self.name else {
            return Ok(match parse_kind(&self.common)? {
                FaultKind::Cut { after, .. } => ExportFaultKind::Cut { after, framing: self.framing },
                kind => ExportFaultKind::Common(kind),
            });
        };
        if let Some((field, _)) = self.common.first() {
            return Err(format!("{field} does not belong to {name}"));
        }
        if let Some((_, text)) = ENDINGS.iter().find(|(known, _)| *known == name) {
            let text = self.text.unwrap_or(text).to_owned();
            return Ok(ExportFaultKind::Ending { rows: self.rows.unwrap_or(ROWS), text });
        }
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind).ok_or_else(|| {
            let names: Vec<&str> =
                ENDINGS.iter().map(|(name, _)| *name).chain(NAMES.iter().map(|(name, _)| *name)).collect();
            format!("unknown fault {name:?}; expected status=, cut=, stall=, delay= or one of {}", names.join(", "))
        })
    }
}

fn days(text: &str) -> Result<std::ops::RangeInclusive<Date>, String> {
    let parse = || {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.parse::<Date>().ok()?, last.parse::<Date>().ok()?);
        (first <= last).then_some(first..=last)
    };
    parse().ok_or_else(|| format!("days: expected a day or a range such as 2026-01-05..2026-01-07, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_are_parsed() {
        let fault = |line: &str| line.parse::<ExportFault>().unwrap_or_else(|error| panic!("{line}: {error}"));
        let parsed = fault("first=2 longer=7 days=2026-01-05..2026-01-07 times=3 total=4 terminated-early rows=0");
        assert_eq!(parsed.slices.len(), 3);
        assert_eq!((parsed.times, parsed.total), (Times::PerPage(3), Some(4)));
        assert_eq!(parsed.kind, ExportFaultKind::Ending { rows: 0, text: TERMINATED.to_owned() });
        let texts = [
            ("terminated-early text=\"[terminated early]\"", 100, "[terminated early]"),
            ("error-line rows=7", 7, ENDINGS[1].1),
            ("cut-line rows=1", 1, ENDINGS[3].1),
        ];
        for (line, rows, text) in texts {
            assert_eq!(fault(line).kind, ExportFaultKind::Ending { rows, text: text.to_owned() }, "{line}");
        }
        assert_eq!(fault("cut=9").kind, ExportFaultKind::Cut { after: 9, framing: None });
        let close = Some(ExportFraming::CloseDelimited);
        assert_eq!(fault("cut=9 framing=close").kind, ExportFaultKind::Cut { after: 9, framing: close });
        assert_eq!(fault("fault=reset"), fault("reset times=always total=always"));
        for (name, kind) in NAMES {
            assert_eq!(fault(name).kind, kind);
        }
        for line in ["status=429 body=\"rate limit reached\" header=Retry-After:5", "stall=0 for=1m", "delay=1s"] {
            assert!(matches!(fault(line).kind, ExportFaultKind::Common(_)), "{line}");
        }
    }

    #[test]
    fn wrong_forms_are_refused_with_the_accepted_ones() {
        for (line, message) in [
            ("", "the fault is empty"),
            ("first=2", "expected exactly one of status"),
            ("cut=1 reset", "cut does not belong to reset"),
            ("cut=1 cut=2", "cut is given twice"),
            ("lost-session", "unknown fault \"lost-session\"; expected status=, cut=, stall=, delay= or one of term"),
            ("pages=1 reset", "unknown field \"pages\""),
            ("requests=x reset", "requests: expected"),
            ("days=2026-01-07..2026-01-05 reset", "days: expected a day"),
            ("every=0 reset", "every: expected a number from 1"),
            ("first=0 reset", "first: expected a number from 1"),
            ("seed=1 reset", "seed belongs to probability"),
            ("probability=2 reset", "probability: expected a number from 0 to 1"),
            ("rows=1 reset", "rows belongs to"),
            ("text=x error-line", "text belongs to"),
            ("framing=close reset", "framing belongs to cut"),
            ("cut=1 framing=both", "framing: expected chunked, content-length or close"),
            ("stall=1", "stall needs for=DURATION"),
        ] {
            let error = line.parse::<ExportFault>().expect_err(line);
            assert!(error.starts_with(message), "{line}: {error}");
        }
    }
}
