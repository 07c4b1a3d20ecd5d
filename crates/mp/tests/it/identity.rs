//! Whose credentials are used.

use mixpanel_simulator::SimulatorConfig;

use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

fn config() -> String {
    let account = |name: &str, secret: &str| {
        format!(
            "[accounts.{name}]\nusername = \"{USERNAME}\"\nsecret = \"{secret}\"\nproject_id = \"{PROJECT}\"\nregion = \"us\"\n"
        )
    };
    format!("default = \"good\"\n{}{}", account("good", CANARY), account("wrong", "not-it"))
}

fn home(simulator: &Simulator) -> Home {
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    home.write_config(&config());
    home
}

#[test]
fn an_account_that_is_named_beats_the_environment_and_that_beats_the_default() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let complete = |home: Home, secret: &str| {
        home.with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", secret)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "US")
    };
    let account = |home: &Home, arguments: &[&str]| home.run(arguments).exits(0).json()["account"].clone();

    assert_eq!(account(&home(&simulator), &["auth", "test"]), "good");
    let right = complete(home(&simulator), CANARY);
    assert_eq!(account(&right, &["auth", "test"]), serde_json::Value::Null);
    let wrong = complete(home(&simulator), "not-it");
    wrong.run(&["auth", "test"]).exits(2).says(&["credentials of the environment"]).prints_nothing();
    assert_eq!(account(&wrong, &["auth", "test", "--account", "good"]), "good");
    assert_eq!(account(&wrong, &["-a", "good", "auth", "test"]), "good");
    assert_eq!(account(&wrong.with("MP_ACCOUNT", "good"), &["auth", "test"]), "good");
    let wrong = complete(home(&simulator), "not-it").with("MP_ACCOUNT", "wrong");
    assert_eq!(account(&wrong, &["auth", "test", "-a", "good"]), "good");
    wrong.run(&["auth", "test", "-a", "gone"]).exits(4).says(&["no account `gone`"]).prints_nothing();
}

#[test]
fn an_incomplete_environment_is_an_error_that_names_what_is_missing() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let all = [("MP_USERNAME", USERNAME), ("MP_SECRET", CANARY), ("MP_PROJECT_ID", PROJECT), ("MP_REGION", "us")];
    // Every set that has one of the first three, but not all four.
    for set in (1..15_u32).filter(|set| set & 0b0111 != 0) {
        let given = |number: usize| set & (1 << number) != 0;
        let home = all
            .iter()
            .enumerate()
            .filter(|(number, _)| given(*number))
            .fold(home(&simulator), |home, (_, (name, value))| home.with(name, value));
        let missing: Vec<&str> = (0..4).filter(|number| !given(*number)).map(|number| all[number].0).collect();
        let run = home.run(&["auth", "test"]).exits(1).prints_nothing();
        let missing = format!("but not {}", missing.join(", "));
        run.says(&[missing.as_str(), "hint: set all four, or none"]).exits(1);
        assert_eq!(home.run(&["auth", "test", "-a", "good"]).exits(0).json()["account"], "good");
    }
    // An empty variable is one that is not set, and the region alone says nothing.
    home(&simulator).with("MP_USERNAME", "").with("MP_REGION", "eu").run(&["auth", "test"]).exits(0);
    assert_eq!(simulator.stats().replies_by_status.keys().copied().collect::<Vec<_>>(), [200]);
}

#[test]
fn without_credentials_the_way_to_them_is_shown() {
    let run = Home::new().run(&["fetch", "profiles"]).exits(1).prints_nothing();
    insta::assert_snapshot!(run.stderr, @r"
    error: there are no credentials
    hint: add an account with `mp auth add`, or set MP_USERNAME, MP_SECRET, MP_PROJECT_ID and MP_REGION
    ");
}

#[test]
fn requests_go_to_this_machine_or_to_mixpanel() {
    let home = Home::new();
    home.write_config(&config());
    for url in ["http://example.org", "http://10.0.0.1", "ftp://127.0.0.1", "http://user:pw@127.0.0.1", "nonsense"] {
        let run = home.run(&["auth", "test", "--base-url", url]).exits(3).prints_nothing();
        run.says(&["--base-url"]).exits(3);
    }
    let run = home.run(&["auth", "test", "--base-url", "http://127.0.0.1:1"]).exits(1).prints_nothing();
    run.says(&["note: requests go to http://127.0.0.1:1, not to Mixpanel", "cannot connect", "hint:"]).exits(1);
}
