//! The config file: its permissions and rejected contents. `attacks` has the files of an attacker.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, Run};

pub(crate) fn account(name: &str) -> String {
    format!("[accounts.{name}]\nusername = \"sa\"\nsecret = \"{CANARY}\"\nproject_id = \"1\"\nregion = \"us\"\n")
}

pub(crate) fn add(home: &Home, name: &str) -> Run {
    home.run_with_input(&["auth", "add", name, "-u", "sa", "-p", "1", "--secret-stdin", "--no-test"], CANARY)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

#[test]
fn config_file_is_private() {
    let home = Home::new();
    add(&home, "prod").exits(0);
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(mode(home.config().parent().expect("a directory")), 0o700);
    let others: Vec<_> = std::fs::read_dir(home.path().join(".mp")).expect("a directory").collect();
    assert_eq!(others.len(), 1, "no temporary file is left: {others:?}");
}

#[test]
fn config_comments_are_kept() {
    let home = Home::new();
    home.write_config(&format!("# mine\ndefault = \"b\" # why\n\n{}\n# second\n{}", account("a"), account("b")));
    home.run(&["auth", "switch", "a"]).exits(0);
    add(&home, "c").exits(0);
    home.run(&["auth", "remove", "a", "--force"]).exits(0);
    let text = std::fs::read_to_string(home.config()).expect("the file");
    for kept in ["# mine", "# why", "# second", "[accounts.b]", "[accounts.c]", "default = \"b\""] {
        assert!(text.contains(kept), "no {kept:?} in:\n{text}");
    }
    assert!(!text.contains("[accounts.a]"));
}

#[test]
fn config_errors_do_not_quote_the_file() {
    let check = |case: &str, text: &str| {
        let home = Home::new();
        home.write_config(text);
        let run = home.run(&["auth", "show"]).exits(1).prints_nothing();
        let run = assert_run!(run.says(&[&home.config().display().to_string()]), case);
        assert!(!["move", "remove", "delete"].iter().any(|advice| run.stderr.contains(advice)), "{}", run.stderr);
    };
    for (case, text) in
        [("line 1", "= 1\n"), ("line 2", "\n= 1\n"), ("line 3", "# a\n\n???\n"), ("key twice", "a = 1\nb = 2\nb = 3\n")]
    {
        check(case, text);
    }
    check("equals signs", &account("prod").replace("secret = ", "secret = = "));
    check("incomplete", &account("prod").replace("project_id = \"1\"\n", ""));
    check("no table", "accounts = 1");
    check("region", &account("prod").replace("\"us\"", "\"mars\""));
    check("no text", &account("prod").replace("\"sa\"", "[1]"));

    for (case, text) in [("default gone", String::new()), ("default unknown", account("prod"))] {
        let home = Home::new();
        home.write_config(&format!("default = \"gone\"\n{text}"));
        assert_run!(home.run(&["auth", "show"]).exits(4).prints_nothing(), case);
        home.run(&["auth", "test"]).exits(4).says(&["`default`", &home.config().display().to_string()]);
    }

    let home = Home::new();
    home.write_config(&account("prod").replace("\"1\"", "1").replace("\"us\"", "\"EU\""));
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["project_id"], "1");
    assert_eq!(home.run(&["auth", "show"]).exits(0).json()["region"], "eu");
}

#[test]
fn an_unknown_key_or_section_is_an_error_of_every_command() {
    for (case, text) in [
        ("section", "[default]\ndrop = [\"$email\"]\n".to_owned()),
        ("misspelled section", "# c\n[Defaults]\ndrop = [\"$email\"]\n".to_owned()),
        ("no section", "drop = [\"$email\"]\n".to_owned()),
        ("key of an account", format!("{}regoin = \"eu\"\n", account("prod"))),
        ("accounts", account("prod").replace("accounts", "account")),
        ("default", "default = 3\n".to_owned()),
    ] {
        let home = Home::new();
        home.write_config(&text);
        let shown = assert_run!(home.run(&["auth", "show"]).exits(1).prints_nothing(), case);
        for command in [&["fetch", "profiles", "--stdout"][..], &["auth", "list"], &["fetch", "status"]] {
            assert_eq!(home.run(command).exits(1).prints_nothing().stderr, shown.stderr, "{case}: {command:?}");
        }
        // Credentials in the environment need no account, but the file could drop properties.
        let home = home.with("MP_USERNAME", "sa").with("MP_SECRET", CANARY).with("MP_PROJECT_ID", "1");
        let run = home.run(&["fetch", "profiles", "--stdout", "--base-url", "http://127.0.0.1:9"]);
        assert_eq!(run.exits(1).prints_nothing().stderr, shown.stderr, "{case}");
    }
}

#[test]
fn the_shared_config_file_may_have_keys_that_are_not_ours() {
    let home = Home::new();
    shared(&home, "[settings]\ncolor = true\n");
    home.run(&["auth", "list"]).exits(0);
    shared(&home, &format!("[settings]\ncolor = true\n{}", account("a")));
    home.run(&["auth", "list"]).exits(1).says(&["line 1: unknown section `[settings]`"]);
}

#[test]
fn config_path_can_be_overridden() {
    let elsewhere = Home::new();
    let path = elsewhere.path().join("new/mixpanel.toml");
    let home = Home::new().with("MP_CONFIG_PATH", &path.display().to_string());
    add(&home, "prod").exits(0);
    assert_eq!(mode(&path), 0o600);
    assert!(!home.config().exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let home = Home::new().with("MP_CONFIG_PATH", "/proc/self/config.toml");
    let run = add(&home, "prod").exits(1).prints_nothing();
    assert_run!(run.exits(1));
}

#[test]
fn concurrently_added_accounts_are_all_kept() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || add(home, &format!("account{number}")).exits(0));
        }
    });
    assert_eq!(home.run(&["auth", "list"]).exits(0).json().as_array().map(Vec::len), Some(8));
}

/// The config file of another program named `mp`.
const ANOTHERS: &str = "[active]\naccount = \"work\"\n\n[accounts.work]\ntype = \"service_account\"\nusername = \"w\"\n\
    secret = \"theirs\"\ndefault_project = \"3\"\nregion = \"eu\"\n";

fn shared(home: &Home, text: &str) -> std::path::PathBuf {
    let path = home.path().join(".mp/config.toml");
    std::fs::create_dir_all(home.path().join(".mp")).expect("a directory");
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its permissions");
    path
}

#[test]
fn a_config_file_of_another_program_is_left_as_it_is() {
    let variants = [
        ANOTHERS.to_owned(),
        "[active]\n".to_owned(),
        "active = \"x\"\n".to_owned(),
        "[accounts.work]\ntype = \"oauth_browser\"\n".to_owned(),
        "[accounts.work]\ndefault_project = \"3\"\n".to_owned(),
        "accounts.work = { type = \"oauth_token\", region = \"us\" }\n".to_owned(),
        // One of our accounts with a key that only the other program writes.
        account("work").replace("region", "type = \"x\"\nregion"),
    ];
    for text in variants {
        let home = Home::new();
        let path = shared(&home, &text);
        let listed = assert_run!(home.run(&["auth", "list"]).exits(0), "list");
        assert_eq!(listed.stdout, "[]\n", "{text}");
        assert_run!(home.run(&["auth", "test"]).exits(4), "test");
        home.run(&["auth", "switch", "work"]).exits(4);
        home.run(&["auth", "remove", "work", "--force"]).exits(4);
        assert!(!home.config().exists());
        add(&home, "mine").exits(0);
        assert_eq!(mode(&home.config()), 0o600);
        // The note is shown once: from now on, the other file is not read.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("its permissions");
        let run = home.run(&["auth", "list", "-f", "plain"]).exits(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("mine\n", ""), "{text}");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
        let home = home.with("MP_CONFIG_PATH", &path.display().to_string());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its permissions");
        assert_run!(add(&home, "other").exits(1), "add");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
    }
}

#[test]
fn accounts_in_the_shared_config_migrate_on_the_first_change() {
    let ours = format!("# mine\ndefault = \"b\"\n{}{}", account("a"), account("b"));
    let accounts_of_another = ANOTHERS.split_once("\n\n").expect("a table follows").1;
    let texts = [ours.clone(), format!("{ours}{accounts_of_another}"), format!("{ours}[active]\naccount = \"x\"\n")];
    for (text, case) in texts.into_iter().zip(["alone", "with accounts of another", "with a key of another"]) {
        let home = Home::new();
        let path = shared(&home, &text);
        assert_eq!(home.run(&["auth", "list", "-f", "plain"]).exits(0).stdout, "a\nb\n");
        assert_eq!(home.run(&["auth", "show"]).exits(0).json()["name"], "b");
        let run = home.run(&["auth", "switch", "a"]).exits(0);
        assert_run!(run, case);
        assert_eq!(home.run(&["auth", "show"]).exits(0).json()["name"], "a");
        assert_eq!(home.run(&["auth", "list", "-f", "plain"]).exits(0).stdout, "a\nb\n");
        let moved = std::fs::read_to_string(home.config()).expect("the file");
        assert!(moved.contains("# mine") && !moved.contains("theirs") && !moved.contains("active"), "{moved}");
        assert_eq!(mode(&home.config()), 0o600);
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
        let run = home.run(&["auth", "switch", "b"]).exits(0);
        assert_eq!(run.stderr, "");
    }
}
