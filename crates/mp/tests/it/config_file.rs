//! The config file: who may read it, and what is refused. What an attacker may put in its place is tested in `attacks`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{CANARY, Home, Run};

pub(crate) fn account(name: &str) -> String {
    format!("[accounts.{name}]\nusername = \"sa\"\nsecret = \"{CANARY}\"\nproject_id = \"1\"\nregion = \"us\"\n")
}

pub(crate) fn add(home: &Home, name: &str) -> Run {
    home.run_with_input(&["auth", "add", name, "-u", "sa", "-p", "1", "--secret-stdin"], CANARY)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

#[test]
fn it_is_for_its_owner_alone() {
    let home = Home::new();
    add(&home, "prod").exits(0);
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(mode(home.config().parent().expect("a folder")), 0o700);
    let others: Vec<_> = std::fs::read_dir(home.path().join(".mp")).expect("a folder").collect();
    assert_eq!(others.len(), 1, "no temporary file is left: {others:?}");
}

#[test]
fn its_comments_and_foreign_keys_stay() {
    let home = Home::new();
    home.write_config(&format!(
        "# mine\ndefault = \"b\" # why\nextra = 1\n\n{}\n# second\n{}",
        account("a"),
        account("b")
    ));
    home.run(&["auth", "switch", "a"]).exits(0);
    add(&home, "c").exits(0);
    home.run(&["auth", "remove", "a", "--force"]).exits(0);
    let text = std::fs::read_to_string(home.config()).expect("the file");
    for kept in ["# mine", "# why", "extra = 1", "# second", "[accounts.b]", "[accounts.c]", "default = \"b\""] {
        assert!(text.contains(kept), "no {kept:?} in:\n{text}");
    }
    assert!(!text.contains("[accounts.a]"));
}

#[test]
fn mistakes_in_it_are_named_without_what_stands_there() {
    let lines = |text: &str| {
        let home = Home::new();
        home.write_config(text);
        home.run(&["auth", "show"]).exits(1).prints_nothing().stderr
    };
    let broken = account("prod").replace("secret = ", "secret = = ");
    assert!(lines(&broken).contains("line 3"), "{}", lines(&broken));
    let incomplete = account("prod").replace("project_id = \"1\"\n", "");
    assert!(lines(&incomplete).contains("account `prod` has no `project_id`"));
    assert!(lines("accounts = 1").contains("`accounts` is not a table"));
    assert!(lines(&account("prod").replace("\"us\"", "\"mars\"")).contains("unknown region `mars`"));
    assert!(lines(&account("prod").replace("\"sa\"", "[1]")).contains("`username` of account `prod` is not a text"));

    let home = Home::new();
    home.write_config("default = \"gone\"\n");
    home.run(&["auth", "show"]).exits(4).says(&["no account `gone`"]).prints_nothing();

    let home = Home::new();
    home.write_config(&account("prod").replace("\"1\"", "1").replace("\"us\"", "\"EU\""));
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["project_id"], "1");
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["region"], "eu");
}

#[test]
fn it_can_be_elsewhere() {
    let elsewhere = Home::new();
    let path = elsewhere.path().join("new/mixpanel.toml");
    let home = Home::new().with("MP_CONFIG_PATH", &path.display().to_string());
    add(&home, "prod").exits(0);
    assert_eq!(mode(&path), 0o600);
    assert!(!home.config().exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new().with("MP_CONFIG_PATH", "/proc/self/config.toml");
    let run = add(&home, "prod").exits(1).prints_nothing();
    run.says(&["config.toml", "caused by:", "MP_CONFIG_PATH"]).exits(1);
}

#[test]
fn accounts_added_at_the_same_time_are_all_there() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || add(home, &format!("account{number}")).exits(0));
        }
    });
    assert_eq!(home.run(&["auth", "list"]).exits(0).json().as_array().map(Vec::len), Some(8));
}
