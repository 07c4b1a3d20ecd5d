//! Filters and cohorts.

use std::collections::BTreeSet;

use mixpanel_simulator::{ProfileSource, Records, SimulatorConfig};
use serde_json::{Value, json};

use crate::client::{Sim, small};

fn five_hundred() -> SimulatorConfig {
    SimulatorConfig { page_size: 5_000, ..small().with_profiles(500) }
}

async fn rows(sim: &Sim, params: &[(&str, &str)]) -> Vec<Value> {
    sim.get(params).await.results()
}

#[tokio::test]
async fn a_where_filter_selects_exactly_the_matching_profiles() {
    let sim = Sim::start(five_hundred()).await;
    let all = rows(&sim, &[]).await;
    let by_hand = |fits: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|row| fits(&row["$properties"])).cloned().collect()
    };
    let paying =
        rows(&sim, &[("where", r#"properties["is_paying"] == true and properties["plan"] != "growth""#)]).await;
    assert_eq!(paying, by_hand(&|p| p["is_paying"] == true && p["plan"] != "growth"));
    let recent = rows(&sim, &[("where", r#"properties["$last_seen"] >= "2026-06-01T00:00:00""#)]).await;
    assert_eq!(recent, by_hand(&|p| p["$last_seen"].as_str() >= Some("2026-06-01T00:00:00")));
    assert!(!paying.is_empty() && !recent.is_empty() && recent.len() < 500);
    let got = sim.get(&[("where", r#"properties["plan"] = "free""#)]).await;
    assert_eq!(got.status, 400);
    assert!(got.error().contains("unexpected `=` at character 20"), "{}", got.error());
}

#[tokio::test]
async fn output_properties_leave_the_rest_out() {
    let sim = Sim::start(five_hundred()).await;
    for row in rows(&sim, &[("output_properties", r#"["plan","$city"]"#)]).await {
        let names: BTreeSet<_> = row["$properties"].as_object().expect("an object").keys().cloned().collect();
        assert_eq!(names, BTreeSet::from(["$city", "$last_seen", "plan"].map(str::to_owned)));
    }
    assert_eq!(sim.get(&[("output_properties", "plan")]).await.status, 400);
}

#[tokio::test]
async fn distinct_ids_select_profiles() {
    let sim = Sim::start(five_hundred()).await;
    let ids = sim.get(&[]).await.ids();
    let one = sim.get(&[("distinct_id", &ids[7])]).await;
    assert_eq!((one.ids(), one.json()["total"].clone()), (vec![ids[7].clone()], json!(1)));
    let several = json!([ids[400], ids[3], "nobody"]).to_string();
    assert_eq!(sim.get(&[("distinct_ids", &several)]).await.ids(), [ids[3].clone(), ids[400].clone()]);
}

#[tokio::test]
async fn a_cohort_has_members_with_and_without_profile() {
    let sim = Sim::start(five_hundred()).await;
    // 9 mod 7 + 2 = 4, so about one user in four is a member.
    let members = rows(&sim, &[("filter_by_cohort", r#"{"id": 9}"#), ("include_all_users", "false")]).await;
    assert!((90..=160).contains(&members.len()), "{}", members.len());
    assert!(members.iter().all(|row| row["$properties"].as_object().is_some_and(|p| !p.is_empty())));
    let everyone = rows(&sim, &[("filter_by_cohort", r#"{"id": 9}"#)]).await;
    assert_eq!(everyone[..members.len()], members);
    assert!(everyone.len() > members.len());
    assert!(everyone[members.len()..].iter().all(|row| row["$properties"] == json!({})));
    assert_eq!(sim.get(&[("filter_by_cohort", "9")]).await.status, 400);
}

#[tokio::test]
async fn groups_are_separate_from_profiles() {
    let sim = Sim::start(five_hundred()).await;
    let people: BTreeSet<_> = sim.get(&[]).await.ids().into_iter().collect();
    let one: BTreeSet<_> = sim.get(&[("data_group_id", "-1405123841946871899")]).await.ids().into_iter().collect();
    let two: BTreeSet<_> = sim.get(&[("data_group_id", "companies")]).await.ids().into_iter().collect();
    assert!((100..=200).contains(&one.len()), "{}", one.len());
    assert!(people.is_disjoint(&one) && one.is_disjoint(&two));
}

#[tokio::test]
async fn behaviors_need_a_timestamp_to_be_paged() {
    let sim = Sim::start(SimulatorConfig { page_size: 50, ..five_hundred() }).await;
    let behaviors = r#"[{"window": "90d", "name": "purchases", "event_selectors": [{"event": "Purchased"}]}]"#;
    let filter = [("behaviors", behaviors), ("where", r#"behaviors["purchases"] > 4"#)];
    let first = sim.get(&filter).await;
    let total = first.json()["total"].as_u64().expect("a total");
    assert!((150..=350).contains(&total), "{total}");
    let next = |session: String, stamp: Option<&'static str>| {
        let mut params = filter.map(|(name, value)| (name, value.to_owned())).to_vec();
        params.extend([("page", "1".to_owned()), ("session_id", session)]);
        params.extend(stamp.map(|stamp| ("as_of_timestamp", stamp.to_owned())));
        params
    };
    let send = async |params: Vec<(&'static str, String)>| {
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sim.get(&params).await
    };
    let refused = send(next(first.session(), None)).await;
    assert_eq!(refused.error(), "request for page in uncached query for params");
    let stamped = sim.get(&[filter[0], filter[1], ("as_of_timestamp", "1790000000")]).await;
    assert_eq!(stamped.ids(), first.ids());
    assert_eq!(send(next(stamped.session(), Some("1790000000"))).await.results().len(), 50);
    let unknown = sim.get(&[("where", r#"behaviors["x"] > 1"#)]).await;
    assert!(unknown.error().contains("not among the behaviors"), "{}", unknown.error());
}

#[tokio::test]
async fn records_of_a_file_are_sent_as_they_are() {
    let file = concat!(
        "{\"$distinct_id\": 7,  \"$properties\":{\"n\":1.50E+10}}\n\n",
        "{\"distinct_id\":\"b\",\"properties\":{\"big\":9007199254740993},\"last_seen\":\"2026-05-01T10:00:00Z\"}\n",
        "{\"distinct_id\":\"c\",\"properties\":{},\"last_seen\":null}\n",
    );
    let records = Records::read(file.as_bytes()).expect("three records");
    let sim = Sim::start(SimulatorConfig { profiles: ProfileSource::Records(records.into()), ..small() }).await;
    let text = sim.get(&[]).await.text();
    let results = concat!(
        "[{\"$distinct_id\": 7,  \"$properties\":{\"n\":1.50E+10}},",
        "{\"$distinct_id\":\"b\",\"$properties\":{\"big\":9007199254740993,\"$last_seen\":\"2026-05-01T10:00:00\"}},",
        "{\"$distinct_id\":\"c\",\"$properties\":{}}]"
    );
    assert!(text.contains(results), "{text}");
    assert_eq!(sim.get(&[("distinct_id", "7")]).await.results().len(), 1);

    let errors = [
        ("{\"$distinct_id\":1}\n{\"a\":1}", "line 2: neither"),
        ("\n{\"distinct_id\"", "line 2: not a profile"),
        ("{\"distinct_id\":\"a\",\"properties\":[]}", "line 1: \"properties\" is not an object"),
    ];
    for (file, message) in errors {
        let error = Records::read(file.as_bytes()).expect_err("a bad line").to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
