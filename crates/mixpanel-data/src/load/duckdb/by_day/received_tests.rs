//! Loads slices that the parser and the stage wrote.

use std::io::BufReader;

use jiff::civil::date;

use super::testing::Fixture;
use crate::load::duckdb::verify;
use crate::parse::{EventReader, EventReading, for_each_line};
use crate::profile_query::IfExists;
use crate::project_time_zone::ProjectTimeZone;
use crate::slice::Slice;
use crate::stage::{Manifest, SliceWriter, Stage, StageRoots};

/// Lines of `docs/mixpanel-api.md` and variants of them: two of one identity, equal ones without an insert id, and one
/// that is no event.
const LINES: &str = r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$insert_id":"0c9e2a51-77aa","$mp_api_timestamp_ms":1767239999000,"$city":"Porto","plan":"pro"}}
{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$insert_id":"0c9e2a51-77aa","$mp_api_timestamp_ms":1767225601234,"$city":"Lisboa","plan":"pro"}}
{"event":"Page View","properties":{"time":1767225600123,"distinct_id":"","order":9007199254740993,"big":1e21,"note":"a\u2028b\"c\\n","tags":["x",{"k":null}],"id":1,"Id":"1"}}
{"event":"Page View","properties":{"time":1767225600123,"distinct_id":"","order":9007199254740993,"big":1e21,"note":"a\u2028b\"c\\n","tags":["x",{"k":null}],"id":1,"Id":"1"}}
{"event":"Bücher 🚀 \"x\"","properties":{"time":1767312000000,"distinct_id":"$device:5f1c","insert_id":"not the dollar one","event":"nested","$insert_id":"p q/é"}}
{"event":"A","properties":{"distinct_id":"no time"}}
"#;

/// Stages a body as a slice of two days.
fn stage(fixture: &mut Fixture, stage: &mut Stage, part: u32, body: &str, zone: &ProjectTimeZone) {
    let slice = Slice { from: date(2026, 1, 1), to: date(2026, 1, 2), events: Vec::new() };
    let reading = EventReading { timezone: zone.clone(), ..EventReading::default() };
    let mut reader = EventReader::new(part, slice, &reading);
    let mut writer = SliceWriter::create(&stage.slice_directory(), part).unwrap();
    let bytes = for_each_line(BufReader::new(body.as_bytes()), |line| {
        reader.line(line).map_err(|fault| std::io::Error::other(format!("{fault:?}")))
    });
    let (rest, rejects) = reader.take_rest();
    rest.iter().for_each(|rows| writer.write(rows).unwrap());
    writer.reject(&rejects).unwrap();
    let end = reader.finish(bytes.unwrap(), 99).unwrap();
    fixture.received += end.facts.rows + end.facts.rejected;
    fixture.rejected += end.facts.rejected;
    stage.commit_slice(writer.finish(&end.facts, &end.catalogs).unwrap()).unwrap();
    stage.find_pages().unwrap();
    fixture.pages.push(stage.page_path(part));
    fixture.rejects.extend(stage.rejects_path(part));
}

#[test]
fn received_slices_are_loaded() {
    for zone in ["UTC", "America/New_York"] {
        let zone = ProjectTimeZone::parse(zone).unwrap();
        let mut fixture = Fixture::new();
        fixture.load.query.timezone = zone.clone();
        let roots = StageRoots { root: fixture.stage.clone(), earlier: None };
        let manifest = Manifest::new("run-1".into(), jiff::Timestamp::UNIX_EPOCH, "12345", "us");
        let mut stage_now = Stage::create(&roots, manifest).unwrap();
        fixture.stage = stage_now.directory().to_owned();
        stage(&mut fixture, &mut stage_now, 0, LINES, &zone);
        stage(&mut fixture, &mut stage_now, 1, "", &zone);
        let (report, change) = fixture.load("r1", IfExists::Fail).unwrap();
        assert_eq!((report.rows, report.duplicates), (4, 1));
        let days = change.days.unwrap();
        assert_eq!((days.conflicting_duplicates, days.without_insert_id), (1, 2));
        assert_eq!(
            fixture.texts("SELECT json_extract_string(properties, '/$city') FROM events WHERE insert_id LIKE '0c9e%'"),
            ["Porto"]
        );
        let page_views = "SELECT properties FROM events WHERE event_name = 'Page View'";
        let expected =
            r#"{"order":9007199254740993,"big":1e21,"note":"a\u2028b\"c\\n","tags":["x",{"k":null}],"id":1,"Id":"1"}"#;
        assert_eq!(fixture.texts(page_views), [expected; 2]);
        assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM _rejects"), ["1"]);
        assert_eq!(
            fixture.texts("SELECT day || ' ' || rows FROM _days ORDER BY day"),
            ["2026-01-01 3", "2026-01-02 1"]
        );
        assert!(verify(&fixture.database, "events").unwrap().is_intact());
        // Fetched again, nothing changes.
        let (report, change) = fixture.load("r2", IfExists::Append).unwrap();
        assert_eq!((report.rows, report.duplicates, change.unchanged), (0, 5, Some(4)));
        assert!(verify(&fixture.database, "events").unwrap().is_intact());
    }
}
