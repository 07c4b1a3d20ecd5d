//! `mp auth`.

use mixpanel_simulator::SimulatorConfig;
use serde_json::json;

use crate::attacks::tools::reply;
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Run, Simulator, USERNAME};

fn add(home: &Home, name: &str, more: &[&str]) -> crate::support::Run {
    let arguments = ["auth", "add", name, "-u", USERNAME, "-p", PROJECT, "--secret-stdin", "--no-test"];
    home.run_with_input(&[&arguments, more].concat(), &format!("{CANARY}\n"))
}

#[test]
fn the_first_account_is_the_default() {
    let home = Home::new();
    assert_eq!(add(&home, "one", &[]).exits(0).json(), json!({"added": "one", "is_default": true, "tested": false}));
    assert_eq!(
        add(&home, "two", &["-r", "EU"]).exits(0).json(),
        json!({"added": "two", "is_default": false, "tested": false})
    );
    assert_eq!(
        add(&home, "three", &["--default"]).exits(0).json(),
        json!({"added": "three", "is_default": true, "tested": false})
    );
    insta::assert_snapshot!(home.run(&["auth", "list", "-f", "csv"]).exits(0).stdout, @r"
    name,username,project_id,region,is_default
    one,sa.canary,12345,us,false
    two,sa.canary,12345,eu,false
    three,sa.canary,12345,us,true
    ");
}

#[test]
fn an_account_is_shown_without_its_secret() {
    let home = Home::new();
    add(&home, "prod", &["-r", "in"]).exits(0);
    insta::assert_snapshot!(home.run(&["auth", "show"]).exits(0).stdout, @r#"
    {
      "name": "prod",
      "username": "sa.canary",
      "secret": "********",
      "project_id": "12345",
      "region": "in",
      "is_default": true
    }
    "#);
    for format in ["json", "jsonl", "table", "csv", "plain"] {
        home.run(&["auth", "show", "prod", "--format", format]).exits(0);
    }
    assert_run!(home.run(&["auth", "show", "other"]).exits(4).prints_nothing());
}

#[test]
fn removing_the_default_promotes_the_next_one() {
    let home = Home::new();
    for name in ["one", "two", "three"] {
        add(&home, name, &[]).exits(0);
    }
    assert_eq!(home.run(&["auth", "switch", "two"]).exits(0).json(), json!({"default": "two"}));
    assert_eq!(home.run(&["auth", "remove", "two", "--force"]).exits(0).json(), json!({"removed": "two"}));
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["name"], "three");
    home.run(&["auth", "remove", "three", "--force"]).exits(0);
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["name"], "one");
    home.run(&["auth", "remove", "one", "--force"]).exits(0);
    assert_run!(home.run(&["auth", "show"]).exits(4));
    assert_eq!(home.run(&["auth", "list"]).exits(0).stdout, "[]\n");
    assert_eq!(add(&home, "again", &[]).exits(0).json()["is_default"], true);
}

#[test]
fn a_declined_question_is_no_success_and_no_authentication_error() {
    let home = Home::new();
    add(&home, "prod", &[]).exits(0);
    for answer in ["n\n", "\n", "", "yess\n"] {
        let run = home.run_with_input(&["auth", "remove", "prod"], answer).exits(1).prints_nothing();
        assert_run!(run, "declined");
    }
    home.run_with_input(&["auth", "remove", "prod"], "y\n").exits(0);
    home.run(&["auth", "remove", "prod", "--force"]).exits(4);
}

#[test]
fn auth_add_validates_its_options_before_reading_the_secret() {
    let home = Home::new().with("MP_SECRET", CANARY);
    assert_run!(home.run(&["auth", "add"]).exits(3));
    assert_run!(home.run(&["auth", "add", "prod", "-p", "1"]).exits(3));
    assert_run!(home.run(&["auth", "add", "prod", "-u", "a"]).exits(3));
    assert_run!(home.run(&["auth", "add", "prod", "-u", "a", "-p", "x"]).exits(3));
    assert_run!(home.run(&["auth", "add", "prod", "-u", "a:b", "-p", "1"]).exits(3));
    assert_run!(home.run(&["auth", "add", "prod", "-u", "a", "-p", "1", "-r", "mars"]).exits(3));
    assert_run!(home.run(&["auth", "add", "", "-u", "a", "-p", "1", "--no-test"]).exits(3));
    home.run(&["auth", "add", "prod", "-u", "a", "-p", "1", "--no-test"]).exits(0);
    let again = home.run(&["auth", "add", "prod", "-u", "a", "-p", "1", "--no-test"]).exits(1);
    assert_run!(again.exits(1));
}

#[test]
fn credentials_are_tested_with_one_query() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["auth", "test"]).exits(0);
    let expected = json!({"success": true, "account": null, "project_id": PROJECT, "region": "us", "events_found": 9});
    assert_eq!(run.json(), expected);
    assert_eq!(simulator.stats().requests, 1);

    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    add(&home, "prod", &[]).exits(0);
    assert_eq!(home.run(&["auth", "test", "prod"]).exits(0).json()["account"], "prod");
    home.run_with_input(&["auth", "add", "bad", "-u", "x", "-p", PROJECT, "--secret-stdin", "--no-test"], "wrong")
        .exits(0);
    let refused = home.run(&["auth", "test", "bad"]).exits(2).prints_nothing();
    assert_run!(refused.exits(2));
}

#[test]
fn secrets_are_trimmed_and_malformed_ones_are_refused() {
    let simulator = Simulator::start(mixpanel_simulator::SimulatorConfig::default());
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let add = |input: Vec<u8>| {
        let _absent = home.run(&["auth", "remove", "it", "--force"]);
        let arguments = ["auth", "add", "it", "-u", USERNAME, "-p", PROJECT, "--secret-stdin", "--no-test"];
        let mut command = assert_cmd::Command::from_std(home.command(&arguments));
        Run::new(command.write_stdin(input).output().expect("it runs"))
    };
    let bytes = |parts: &[&[u8]]| parts.concat();
    let secret = CANARY.as_bytes();
    for good in [
        bytes(&[secret]),
        bytes(&[b"\xef\xbb\xbf", secret, b"\r\n"]),
        bytes(&[secret, b"\r"]),
        bytes(&[secret, b"\n\n"]),
    ] {
        add(good).exits(0);
        home.run(&["auth", "test"]).exits(0);
    }
    let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain(CANARY.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let table = [
        (bytes(&[]), "empty"),
        (bytes(&[b"\xef\xbb\xbf\r\n"]), "nothing-but-a-mark"),
        (bytes(&[b" \t\n"]), "blank"),
        (bytes(&[secret, b"\n", secret]), "several-lines"),
        (bytes(&[secret, b"\0"]), "control-character"),
        (bytes(&[secret, b"\xe9"]), "not-UTF-8"),
        (bytes(&[secret, b" "]), "blank-at-the-end"),
        (utf_16, "UTF-16"),
        (vec![b'a'; 5_000], "too-long"),
    ];
    for (input, case) in table {
        assert_run!(add(input).exits(3).prints_nothing(), case);
        assert_eq!(home.run(&["auth", "list"]).exits(0).stdout, "[]\n");
    }
    // The config file is validated like the environment.
    for (odd, case) in
        [("\\u0000", "file-control-character"), ("\\n.", "file-several-lines"), (" ", "file-blank-at-the-end")]
    {
        home.write_config(&format!(
            "[accounts.it]\nusername = \"{USERNAME}\"\nsecret = \"{CANARY}{odd}\"\nproject_id = \"{PROJECT}\"\nregion = \"us\"\n"
        ));
        assert_run!(home.run(&["auth", "test"]).exits(1).prints_nothing(), case);
    }
}

#[test]
fn credentials_are_tested_before_they_are_saved() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let add = |secret: &str, project: &str| {
        let arguments = ["auth", "add", "prod", "-u", USERNAME, "-p", project, "--secret-stdin"];
        home.run_with_input(&arguments, secret)
    };
    assert_run!(add("wrong", PROJECT).exits(2).prints_nothing(), "wrong secret");
    assert_run!(add(CANARY, "999").exits(2).prints_nothing(), "no access to the project");
    assert!(!home.config().exists(), "rejected credentials are not saved");
    assert_eq!(add(CANARY, PROJECT).exits(0).json(), json!({"added": "prod", "is_default": true, "tested": true}));
    assert_eq!(home.run(&["auth", "test"]).exits(0).json()["account"], "prod");
    // Changes are tested, too, and a rejected one is not saved.
    assert_run!(home.run_with_input(&["auth", "edit", "prod", "--secret-stdin"], "wrong").exits(2), "edit");
    home.run(&["auth", "test"]).exits(0);
}

#[test]
fn an_account_is_saved_with_a_warning_if_mixpanel_cannot_tell() {
    let cases = [("http://127.0.0.1:1", "cannot connect"), ("", "500 Internal Server Error")];
    for (url, reason) in cases {
        let failing = crate::servers::Server::replying(vec![reply("500 Oops", "", "{}")]);
        let failing = format!("http://{}", failing.address());
        let home = Home::new().with("MP_BASE_URL", if url.is_empty() { &failing } else { url });
        let arguments = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--secret-stdin"];
        let run = home.run_with_input(&arguments, CANARY).exits(0);
        assert_eq!(run.json(), json!({"added": "prod", "is_default": true, "tested": false}));
        let _run =
            run.says(&["warning: the credentials of account `prod` could not be tested: ", reason, "mp auth test"]);
        assert_eq!(home.run(&["auth", "show"]).exits(0).json()["name"], "prod");
    }
}

#[test]
fn edit_changes_only_what_its_options_name() {
    let home = Home::new();
    home.write_config(&format!(
        "[accounts.prod] # mine\nusername = \"{USERNAME}\" # who\nsecret = \"{CANARY}\"\nproject_id = 12345\nregion = \"us\"\n# note\n"
    ));
    let edit = |options: &[&str]| home.run(&[&["auth", "edit", "prod", "--no-test"], options].concat());
    let run = edit(&["--region", "EU", "-u", "sa.other"]).exits(0);
    assert_eq!(run.json(), json!({"edited": "prod", "changed": ["username", "region"], "tested": false}));
    assert_eq!(edit(&["--region", "eu"]).exits(0).json()["changed"], json!([]));
    assert_eq!(edit(&["--project", "777"]).exits(0).json()["changed"], json!(["project_id"]));
    let text = std::fs::read_to_string(home.config()).expect("the accounts");
    insta::assert_snapshot!(text.replace(CANARY, "[SECRET]"), @r#"
    [accounts.prod] # mine
    username = "sa.other" # who
    secret = "[SECRET]"
    project_id = "777"
    region = "eu"
    # note
    "#);
    for (wrong, code, case) in [
        (&["auth", "edit", "prod"][..], 3, "nothing to change"),
        (&["auth", "edit", "gone", "-p", "1"], 4, "unknown account"),
        (&["auth", "edit", "prod", "-p", "x"], 3, "not a project"),
        (&["auth", "edit", "prod", "-u", "a:b"], 3, "not a user name"),
    ] {
        assert_run!(home.run(wrong).exits(code).prints_nothing(), case);
    }
    assert_eq!(std::fs::read_to_string(home.config()).expect("the accounts"), text);
}
