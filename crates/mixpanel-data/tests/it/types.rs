//! The number of pages of a result (T002, `docs/traceability.md`).

use mixpanel_data::ProfileQuery;
use mixpanel_simulator::{SimulatorConfig, TotalMode};

use crate::harness::Bench;

#[tokio::test]
async fn the_number_of_pages_is_rounded_up_and_unknown_without_a_total() {
    for (profiles, expected) in [(0, Some(0)), (1, Some(1)), (1000, Some(1)), (1001, Some(2))] {
        let bench = Bench::with_faults(profiles, &[]).await;
        let page = bench.client().export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap();
        assert_eq!(page.num_pages(), expected, "{profiles}");
    }
    let mut config = SimulatorConfig::unlimited().with_profiles(3);
    config.total = TotalMode::Missing;
    let page = Bench::start(config).await.client().export_profiles_page(0, None, &ProfileQuery::default()).await;
    assert_eq!(page.unwrap().num_pages(), None);
}
