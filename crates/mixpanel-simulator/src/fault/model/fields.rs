//! Parses the two notations of a fault: a JSON object, and `key=value` words on one line.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Fault, FaultKind, PageSelector, Times};
use crate::body_fault::Framing;
use crate::duration::parse_duration;
use crate::limit_kind::LimitKind;

const FORM: &str = "expected pages, a fault and perhaps times, such as \"pages=3,7-9 status=500 times=2\"";
const NAMES: [(&str, FaultKind); 15] = [
    ("reset", FaultKind::Reset),
    ("html", FaultKind::Html),
    ("empty", FaultKind::EmptyBody),
    ("invalid-json", FaultKind::InvalidJson),
    ("truncated-gzip", FaultKind::TruncatedGzip),
    ("error-in-200", FaultKind::ErrorInSuccess),
    ("lost-session", FaultKind::LostSession),
    ("replaced-session", FaultKind::ReplacedSession),
    ("not-utf8", FaultKind::NotUtf8),
    ("wrong-page", FaultKind::WrongPage),
    ("hourly-limit", FaultKind::Limit(LimitKind::Hourly)),
    ("concurrency-limit", FaultKind::Limit(LimitKind::Concurrency)),
    ("load-shed", FaultKind::Limit(LimitKind::LoadShed)),
    ("body-only-limit", FaultKind::Limit(LimitKind::BodyOnly)),
    ("auth-400", FaultKind::AuthBadRequest),
];

/// The fields of a fault as written, before validation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultFields {
    pages: Option<Pages>,
    every: Option<u64>,
    probability: Option<f64>,
    seed: Option<u64>,
    times: Option<TimesField>,
    status: Option<u16>,
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    cut: Option<usize>,
    framing: Option<String>,
    stall: Option<usize>,
    #[serde(rename = "for")]
    pause: Option<String>,
    delay: Option<String>,
    fault: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "pages: expected \"all\", a number, a list of numbers, or ranges such as \"3,7-9\"")]
enum Pages {
    One(u64),
    Several(Vec<u64>),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "times: expected a number or \"always\"")]
enum TimesField {
    Number(u32),
    Text(String),
}

impl TryFrom<FaultFields> for Fault {
    type Error = String;

    fn try_from(fields: FaultFields) -> Result<Self, String> {
        let times = match &fields.times {
            None => Times::Always,
            Some(TimesField::Number(times)) => Times::PerPage(*times),
            Some(TimesField::Text(text)) if text == "always" => Times::Always,
            Some(TimesField::Text(text)) => Times::PerPage(number("times", text)?),
        };
        Ok(Self { pages: fields.pages()?, times, kind: fields.kind()? })
    }
}

impl FaultFields {
    fn pages(&self) -> Result<PageSelector, String> {
        let given = [self.pages.is_some(), self.every.is_some(), self.probability.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err("pages, every and probability are mutually exclusive".to_owned());
        }
        if self.seed.is_some() && self.probability.is_none() {
            return Err("seed belongs to probability".to_owned());
        }
        if let Some(every) = self.every {
            return if every > 0 {
                Ok(PageSelector::Every(every))
            } else {
                Err("every: expected a number from 1".to_owned())
            };
        }
        if let Some(probability) = self.probability {
            if !(0.0..=1.0).contains(&probability) {
                return Err(format!("probability: expected a number from 0 to 1, got {probability}"));
            }
            return Ok(PageSelector::Random { probability, seed: self.seed.unwrap_or(0) });
        }
        match &self.pages {
            None => Ok(PageSelector::All),
            Some(Pages::One(page)) => Ok(PageSelector::List(vec![*page..=*page])),
            Some(Pages::Several(pages)) => Ok(PageSelector::List(pages.iter().map(|page| *page..=*page).collect())),
            Some(Pages::Text(text)) if text == "all" => Ok(PageSelector::All),
            Some(Pages::Text(text)) => number_ranges("pages", text).map(PageSelector::List),
        }
    }

    fn kind(&self) -> Result<FaultKind, String> {
        let chosen = [
            ("status", self.status.is_some()),
            ("cut", self.cut.is_some()),
            ("stall", self.stall.is_some()),
            ("delay", self.delay.is_some()),
            ("fault", self.fault.is_some()),
        ];
        let chosen: Vec<_> = chosen.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        let [chosen] = chosen[..] else {
            let got = if chosen.is_empty() { "none".to_owned() } else { chosen.join(" and ") };
            return Err(format!("expected exactly one of status, cut, stall, delay and a fault's name, got {got}"));
        };
        let belongs = [
            ("body", self.body.is_some(), "status"),
            ("header", !self.headers.is_empty(), "status"),
            ("framing", self.framing.is_some(), "cut"),
            ("for", self.pause.is_some(), "stall"),
        ];
        if let Some((field, _, owner)) = belongs.into_iter().find(|(_, given, owner)| *given && *owner != chosen) {
            return Err(format!("{field} belongs to {owner}, not to {chosen}"));
        }
        if let Some(status) = self.status {
            return self.status_kind(status);
        }
        if let Some(after) = self.cut {
            let framing = match self.framing.as_deref() {
                None | Some("content-length") => Framing::ContentLength,
                Some("chunked") => Framing::Chunked,
                Some(other) => return Err(format!("framing: expected content-length or chunked, got {other:?}")),
            };
            return Ok(FaultKind::Cut { after, framing });
        }
        if let Some(after) = self.stall {
            let pause = self.pause.as_deref().ok_or("stall needs for=DURATION, such as for=30s")?;
            return Ok(FaultKind::Stall { after, pause: duration("for", pause)? });
        }
        if let Some(delay) = &self.delay {
            return duration("delay", delay).map(FaultKind::Delay);
        }
        named(self.fault.as_deref().unwrap_or_default())
    }

    fn status_kind(&self, status: u16) -> Result<FaultKind, String> {
        let code = StatusCode::from_u16(status).ok().filter(|code| code.as_u16() >= 200 && code.as_u16() < 600);
        let status = code.ok_or_else(|| format!("status: expected 200 to 599, got {status}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::from_str(name).ok().zip(HeaderValue::from_str(value).ok());
            let (name, value) = parsed.ok_or_else(|| format!("header: {name:?}: {value:?} is not a header"))?;
            headers.append(name, value);
        }
        Ok(FaultKind::Status { status, body: self.body.clone(), headers })
    }

    /// Sets a field from a `key=value` word of the one-line notation.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = || Some(value.to_owned());
        match name {
            "pages" => self.pages = Some(Pages::Text(value.to_owned())),
            "every" => self.every = Some(number(name, value)?),
            "probability" => self.probability = Some(number(name, value)?),
            "seed" => self.seed = Some(number(name, value)?),
            "times" => self.times = Some(TimesField::Text(value.to_owned())),
            "status" => self.status = Some(number(name, value)?),
            "body" => self.body = text(),
            "header" => {
                let (name, value) = value.split_once(':').ok_or("header: expected NAME:VALUE")?;
                self.headers.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            "cut" => self.cut = Some(number(name, value)?),
            "framing" => self.framing = text(),
            "stall" => self.stall = Some(number(name, value)?),
            "for" => self.pause = text(),
            "delay" => self.delay = text(),
            "fault" => self.fault = text(),
            _ => return Err(format!("unknown field {name:?}; {FORM}")),
        }
        Ok(())
    }
}

impl Fault {
    /// Parses a script: a JSON array of faults in the format described at [`Fault`].
    ///
    /// # Errors
    ///
    /// Returns a message with the number of the invalid fault, counted from 1, what is wrong, and what is accepted.
    pub fn read_script(json: &str) -> Result<Vec<Self>, String> {
        let faults: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|error| format!("the script is not a JSON array of faults: {error}"))?;
        let read = |(number, fault): (usize, &&RawValue)| {
            serde_json::from_str(fault.get()).map_err(|error| format!("fault {}: {error}", number + 1))
        };
        faults.iter().enumerate().map(read).collect()
    }
}

impl FromStr for Fault {
    type Err = String;

    /// Parses the one-line notation described at [`Fault`].
    fn from_str(line: &str) -> Result<Self, String> {
        let mut fields = FaultFields::default();
        let mut seen = Vec::new();
        for word in words(line)? {
            let (name, value) = word.split_once('=').unwrap_or(("fault", &word));
            if name != "header" && seen.contains(&name.to_owned()) {
                return Err(format!("{name} is given twice; {FORM}"));
            }
            seen.push(name.to_owned());
            fields.set(name, value)?;
        }
        if seen.is_empty() {
            return Err(format!("the fault is empty; {FORM}"));
        }
        Self::try_from(fields)
    }
}

/// Parses the kind of a fault from words of the one-line notation, without selectors.
///
/// # Errors
///
/// Returns a message that says what is wrong, and what is accepted.
pub(crate) fn parse_kind(words: &[(&str, &str)]) -> Result<FaultKind, String> {
    let mut fields = FaultFields::default();
    for (name, value) in words {
        fields.set(name, value)?;
    }
    fields.kind()
}

/// Splits a line at spaces outside double quotes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            space if space.is_whitespace() && !quoted => words.push(String::new()),
            other => words.last_mut().expect("there is always a word").push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    if quoted { Err("unclosed quote".to_owned()) } else { Ok(words) }
}

fn named(name: &str) -> Result<FaultKind, String> {
    NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind).ok_or_else(|| {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        format!("unknown fault {name:?}; expected status=, cut=, stall=, delay= or one of {}", names.join(", "))
    })
}

/// Parses numbers and ranges such as `3,7-9`.
pub(crate) fn number_ranges(name: &str, text: &str) -> Result<Vec<RangeInclusive<u64>>, String> {
    text.split(',').map(|range| number_range(name, range)).collect()
}

fn number_range(name: &str, text: &str) -> Result<RangeInclusive<u64>, String> {
    let parse = || {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some(first..=last)
    };
    parse().ok_or_else(|| {
        let all = if name == "pages" { "\"all\", or " } else { "" };
        format!("{name}: expected {all}numbers and ranges such as 3,7-9, got {text:?}")
    })
}

pub(crate) fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name}: expected a number, got {text:?}"))
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{name}: {error}"))
}
