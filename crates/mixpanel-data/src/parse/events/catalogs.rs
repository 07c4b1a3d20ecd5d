//! The property catalogs of a slice: one for each event name.

use std::collections::HashMap;

use crate::limits::{CATALOG_ENTRIES_MAX, CATALOG_EVENTS_MAX};
use crate::parse::catalog::{Catalog, FORMAT};
use crate::parse::collector::Collector;

/// Key of the catalogs in the metadata of a staged slice.
pub(crate) const EVENT_CATALOGS_KEY: &str = "event_catalogs";

/// Collects the properties of each event.
pub(super) struct Collectors {
    /// The places of the collectors, by event name.
    places: HashMap<Box<str>, usize>,
    collectors: Vec<Collector>,
    /// Collects the properties of events with other names than these.
    others: Collector,
    /// The number of names in all collectors.
    entries: usize,
}

impl Collectors {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), collectors: Vec::new(), others: Collector::new(), entries: 0 }
    }

    /// Returns the place of the collector for events of this name.
    pub(super) fn place(&mut self, event: &str) -> usize {
        if let Some(place) = self.places.get(event) {
            return *place;
        }
        if self.collectors.len() >= CATALOG_EVENTS_MAX || self.entries >= CATALOG_ENTRIES_MAX {
            return usize::MAX;
        }
        self.places.insert(event.into(), self.collectors.len());
        self.collectors.push(Collector::new());
        self.collectors.len() - 1
    }

    /// Calls `read` with a collector.
    pub(super) fn with<T>(&mut self, place: usize, read: impl FnOnce(&mut Collector) -> T) -> T {
        let collector = self.collectors.get_mut(place).unwrap_or(&mut self.others);
        let before = collector.names();
        if self.entries >= CATALOG_ENTRIES_MAX {
            collector.close();
        }
        let result = read(collector);
        self.entries += collector.names() - before;
        result
    }

    /// Returns the catalogs of names with an event, in the order of the names.
    pub(super) fn finish(self) -> EventCatalogs {
        let mut collectors: Vec<Option<Collector>> = self.collectors.into_iter().map(Some).collect();
        let mut names: Vec<(Box<str>, usize)> = self.places.into_iter().collect();
        names.sort_unstable();
        let mut catalogs = Vec::new();
        for (name, place) in names {
            let collector = collectors.get_mut(place).and_then(Option::take);
            catalogs.extend(collector.map(|collector| (Some(String::from(name)), collector.finish())));
        }
        catalogs.push((None, self.others.finish()));
        catalogs.retain(|(_, catalog)| catalog.profiles > 0);
        EventCatalogs(catalogs)
    }
}

/// The property catalogs of a slice, by event name. Events of too many different names are together under `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EventCatalogs(pub(crate) Vec<(Option<String>, Catalog)>);

impl EventCatalogs {
    /// Returns the catalog of all events.
    pub(crate) fn total(&self) -> Catalog {
        Catalog::sum(self.0.iter().map(|(_, catalog)| catalog))
    }

    /// Returns the text that is recorded in a staged file.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(&(FORMAT, &self.0)).expect("catalogs are plain data")
    }

    /// Reads a recorded text. `None` if another version wrote it, or it is damaged.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (format, catalogs): (u32, Vec<(Option<String>, Catalog)>) = serde_json::from_str(text).ok()?;
        (format == FORMAT).then_some(Self(catalogs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(events: &[(&str, &str)]) -> EventCatalogs {
        let mut collectors = Collectors::new();
        for (event, properties) in events {
            let place = collectors.place(event);
            collectors.with(place, |collector| collector.profile(properties));
        }
        collectors.finish()
    }

    #[test]
    fn each_event_has_a_catalog_and_they_add_up() {
        let events = [("b", r#"{"x":1}"#), ("a \"q\"", r#"{"x":"t","y":null}"#), ("b", r#"{"x":2.5}"#), ("", "{}")];
        let catalogs = collect(&events);
        let names: Vec<_> = catalogs.0.iter().map(|(name, catalog)| (name.as_deref(), catalog.profiles)).collect();
        assert_eq!(names, [(Some(""), 1), (Some("a \"q\""), 1), (Some("b"), 2)]);
        let mut all = Collector::new();
        events.iter().for_each(|(_, properties)| all.profile(properties));
        let (mut total, mut expected) = (catalogs.total(), all.finish());
        let sort = |catalog: &mut Catalog| catalog.properties.sort_by(|one, other| one.name.cmp(&other.name));
        sort(&mut total);
        sort(&mut expected);
        assert_eq!(total, expected);
        assert_eq!(EventCatalogs::read(&catalogs.to_text()).unwrap(), catalogs);
        for other in ["[]", "[2,[]]", ""] {
            assert_eq!(EventCatalogs::read(other), None);
        }
        assert_eq!(EventCatalogs::read(&EventCatalogs::default().to_text()), Some(EventCatalogs::default()));
    }

    #[test]
    fn names_beyond_the_limits_are_only_counted() {
        let names: Vec<String> = (0..CATALOG_EVENTS_MAX + 5).map(|name| format!("e{name}")).collect();
        let events: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), r#"{"x":1}"#)).collect();
        let catalogs = collect(&events);
        assert_eq!(catalogs.0.len(), CATALOG_EVENTS_MAX + 1);
        assert_eq!(catalogs.0.last().map(|(name, catalog)| (name.clone(), catalog.profiles)), Some((None, 5)));
        assert_eq!(catalogs.total().profiles, names.len() as u64);
        assert_eq!(EventCatalogs::read(&catalogs.to_text()).unwrap(), catalogs);

        let wide = |first: usize| -> String {
            let members: Vec<String> = (first..first + 4_000).map(|name| format!("\"p{name}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        let wide: Vec<String> = (0..20).map(|part| wide(part * 4_000)).collect();
        let events: Vec<(&str, &str)> =
            names.iter().zip(&wide).map(|(name, properties)| (name.as_str(), properties.as_str())).collect();
        let catalogs = collect(&events);
        let listed: usize = catalogs.0.iter().map(|(_, catalog)| catalog.properties.len()).sum();
        assert!(listed <= CATALOG_ENTRIES_MAX + 4_000, "{listed}");
        let values: u64 = catalogs.0.iter().map(|(_, catalog)| catalog.others).sum::<u64>() + listed as u64;
        assert_eq!(values, 80_000);
    }
}
