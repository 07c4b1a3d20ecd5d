//! How the engine gets at the file, and what it may use, changes nothing.

use crate::limits::MEMORY_RANGE;
use crate::profile_query::OnExisting;
use crate::store::load::LoadReport;
use crate::store::testing::Fixture;

#[test]
fn what_others_made_in_the_file_stays_as_it_was() {
    let mut fixture = Fixture::new();
    fixture.page(&[("old", "{}", Some(1))]);
    fixture.load("r1", OnExisting::Fail).unwrap();
    fixture.execute(
        "CREATE SEQUENCE numbers;
         CREATE TABLE other (n BIGINT DEFAULT nextval('numbers'), id VARCHAR UNIQUE, CHECK (n > 0));
         CREATE VIEW seen AS SELECT p.distinct_id, o.n FROM profiles AS p, other AS o;
         CREATE MACRO twice(x) AS TABLE SELECT x, (SELECT count(*) FROM profiles);
         CREATE INDEX by_time ON profiles (last_seen)",
    );
    fixture.restage().page(&[("new", "{}", Some(2))]);
    fixture.load("r2", OnExisting::Replace).unwrap();
    fixture.restage().page(&[("newer", "{}", Some(3))]);
    fixture.load("r3", OnExisting::Upsert).unwrap();
    fixture.execute("INSERT INTO other (id) VALUES ('x')");
    assert_eq!(fixture.texts("SELECT distinct_id || n FROM seen ORDER BY 1"), ["new1", "newer1"]);
    assert_eq!(fixture.texts("SELECT column1::VARCHAR FROM twice(1) AS t (column0, column1)"), ["2"]);
}

#[test]
fn a_file_may_have_a_name_that_the_engine_uses_itself() {
    for name in ["memory.db", "temp.db", "system.db", "main.db", "a.b.db", ".db", "it's \"one\".db"] {
        let mut fixture = Fixture::named(name, "stage");
        fixture.page(&[("a", "{}", None)]);
        fixture.load("r1", OnExisting::Fail).unwrap();
        fixture.restage().page(&[("b", "{}", None)]);
        fixture.load("r2", OnExisting::Append).unwrap();
        assert_eq!(fixture.ids(), ["a", "b"], "{name}");
    }
}

#[test]
fn rows_stay_in_page_order_whatever_the_memory_and_the_size_of_pages() {
    let ids: Vec<String> = (0..12_000).map(|row| format!("{:x}", row * 7_919 % 12_007)).collect();
    let text = format!(r#"{{"k":"{}"}}"#, "x".repeat(5_000));
    // Large pages have several row groups; a duplicate is in another one.
    let mut rows: Vec<_> = ids.iter().map(|id| (id.as_str(), text.as_str(), None)).collect();
    rows.insert(4_000, (&ids[100], "{}", None));
    for page_rows in [500, 5_000] {
        let mut fixture = Fixture::new();
        for page in rows.chunks(page_rows) {
            fixture.page(page);
        }
        for memory in [*MEMORY_RANGE.start(), *MEMORY_RANGE.end()] {
            let mut request = fixture.request(fixture.run(&memory.to_string()), OnExisting::Replace);
            request.memory = memory;
            assert_eq!(
                super::load(&request, &mut |_| std::ops::ControlFlow::Continue(())).unwrap(),
                LoadReport { rows: 12_000, duplicates: 1 }
            );
            assert_eq!(fixture.ids(), ids, "{page_rows} {memory}");
            assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM profiles WHERE properties = '{}'"), ["0"]);
        }
        let groups = "SELECT count(DISTINCT row_group_id)::VARCHAR FROM pragma_storage_info('profiles')";
        assert_ne!(fixture.texts(groups), ["1"], "one row group has an order of its own");
    }
}
