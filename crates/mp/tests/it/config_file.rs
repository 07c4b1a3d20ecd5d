//! The config file: who may read it, and what is refused.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{CANARY, Home, Run};

fn account(name: &str) -> String {
    format!("[accounts.{name}]\nusername = \"sa\"\nsecret = \"{CANARY}\"\nproject_id = \"1\"\nregion = \"us\"\n")
}

fn add(home: &Home, name: &str) -> Run {
    home.run_with_input(&["auth", "add", name, "-u", "sa", "-p", "1", "--secret-stdin"], CANARY)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
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
fn one_that_others_can_read_is_used_with_a_warning_and_closed_at_the_next_change() {
    let home = Home::new();
    home.write_config(&account("prod"));
    set_mode(&home.config(), 0o644);
    home.run(&["auth", "list"]).exits(0).says(&["warning: other users can read", "chmod 600"]);
    add(&home, "other").exits(0);
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(home.run(&["auth", "list"]).exits(0).stderr, "");
}

#[test]
fn one_that_others_can_write_is_refused() {
    for bits in [0o620, 0o602, 0o666] {
        let home = Home::new();
        home.write_config(&account("prod"));
        set_mode(&home.config(), bits);
        home.run(&["auth", "list"]).exits(1).says(&["others may write to it", "chmod 600"]).prints_nothing();
        add(&home, "other").exits(1);
        assert_eq!(mode(&home.config()), bits, "nothing was changed");
    }
    let home = Home::new();
    home.write_config(&account("prod"));
    set_mode(&home.path().join(".mp"), 0o777);
    home.run(&["auth", "list"]).exits(1).says(&["everyone may write to its folder", "chmod o-w"]);
}

#[test]
fn links_are_not_followed() {
    let home = Home::new();
    let target = home.path().join("target.toml");
    std::fs::write(&target, account("prod")).expect("a file");
    set_mode(&target, 0o600);
    std::fs::create_dir(home.path().join(".mp")).expect("a folder");
    symlink(&target, home.config()).expect("a link");
    home.run(&["auth", "list"]).exits(1).says(&["it is a symbolic link", "MP_CONFIG_PATH"]).prints_nothing();
    add(&home, "other").exits(1).says(&["it is a symbolic link"]).prints_nothing();
    assert_eq!(std::fs::read_to_string(&target).expect("the target"), account("prod"));

    std::fs::remove_file(home.config()).expect("the link");
    symlink(home.path().join("nowhere"), home.config()).expect("a link");
    add(&home, "other").exits(1).says(&["it is a symbolic link"]).prints_nothing();
    assert!(!home.path().join("nowhere").exists());

    std::fs::remove_file(home.config()).expect("the link");
    std::fs::hard_link(&target, home.config()).expect("a link");
    home.run(&["auth", "list"]).exits(1).says(&["it has other names"]).prints_nothing();
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let home = Home::new();
    std::fs::create_dir(home.path().join(".mp")).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(home.config()).status().expect("mkfifo runs");
    assert!(made.success());
    set_mode(&home.config(), 0o600);
    home.run(&["auth", "list"]).exits(1).says(&["it is not a regular file"]).prints_nothing();
    std::fs::remove_file(home.config()).expect("the pipe");
    std::fs::create_dir(home.config()).expect("a folder");
    home.run(&["auth", "list"]).exits(1).says(&["it is not a regular file"]).prints_nothing();

    let home = Home::new();
    home.write_config("");
    let file = std::fs::File::options().write(true).open(home.config()).expect("the file");
    file.set_len(10 << 30).expect("a large file");
    home.run(&["auth", "list"]).exits(1).says(&["it is larger than 1 MiB"]).prints_nothing();
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
