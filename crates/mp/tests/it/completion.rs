//! Completion of command lines, and the man pages.

use std::process::Command;

use crate::program::MP;
use crate::support::{Home, Simulator};

/// Returns the candidates for the last word, as fish would show them, without descriptions.
fn candidates(home: &Home, words: &[&str]) -> Vec<String> {
    let mut command = home.command(&[&["--", "mp"], words].concat());
    let output = command.env("MP_COMPLETE", "fish").output().expect("it runs");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{words:?}");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    shown.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn values_are_completed_from_the_users_files() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.write_config(&format!("{}{}", crate::config_file::account("production"), crate::config_file::account("test")));
    home.run(&["fetch", "profiles", "broken", "-q"]).exits(2);
    for table in ["users", "groups"] {
        home.run(&["fetch", "profiles", table, "-q"]).exits(0);
    }
    let run_id = home.run(&["fetch", "status", "-f", "plain"]).exits(0).stdout.trim().to_owned();
    let accounts: &[&str] = &["production", "test"];
    let tables: &[&str] = &["groups", "users"];
    let table: [(&[&str], &[&str]); 18] = [
        (&["--account", ""], accounts),
        (&["-a", "p"], &["production"]),
        (&["fetch", "profiles", "--account", "t"], &["test"]),
        (&["auth", "show", ""], accounts),
        (&["auth", "switch", "te"], &["test"]),
        (&["auth", "edit", "te"], &["test"]),
        (&["auth", "add", "--region", ""], &["us", "eu", "in"]),
        (&["auth", "edit", "x", "--region", "e"], &["eu"]),
        (&["verify", ""], tables),
        (&["inspect", "drop", "-t", "u"], &["users"]),
        (&["inspect", "schema", "g"], &["groups"]),
        (&["export", "g"], &["groups"]),
        (&["models", "dbt", "project", "g"], &["groups"]),
        (&["fetch", "resume", ""], &["broken"]),
        (&["fetch", "resume", "--run", ""], &[&run_id]),
        (&["fetch", "discard", "--run", "2"], &[&run_id]),
        (&["auth", "list", "--format", ""], &["json", "jsonl", "table", "csv", "plain"]),
        (&["completions", "z"], &["zsh"]),
    ];
    for (words, expected) in table {
        // Options would keep the shell from completing a value.
        assert_eq!(candidates(&home, words), expected, "{words:?}");
    }
    assert!(candidates(&home, &["verify", "--"]).contains(&"--format".to_owned()));
    assert!(candidates(&home, &["auth", "list", ""]).contains(&"--format".to_owned()), "there is nothing else");
    assert!(candidates(&home, &["fetch", "profiles", "--par"]).contains(&"--parallel".to_owned()));
}

#[test]
fn completion_respects_the_options_typed_so_far_and_never_fails() {
    let home = Home::new();
    assert!(candidates(&home, &["verify", ""]).iter().all(|word| word.starts_with('-')));
    home.run(&["demo", "--fast", "-q", "--keep", "kept"]).exits(0);
    assert!(candidates(&home, &["--db", "kept/demo.db", "verify", ""]).contains(&"users".to_owned()));
    assert!(candidates(&home, &["verify", "--db=kept/demo.db", "u"]).contains(&"users".to_owned()));
    let home = home.with("MP_DB", "kept/demo.db");
    assert!(candidates(&home, &["verify", ""]).contains(&"users".to_owned()));
    for broken in ["kept", "none.db", "~nobody/x.db"] {
        assert!(candidates(&home, &["--db", broken, "verify", ""]).iter().all(|word| word.starts_with('-')));
    }
    home.write_config("not toml");
    assert!(candidates(&home, &["auth", "show", ""]).iter().all(|word| word.starts_with('-')));
}

#[test]
fn the_bash_script_completes_in_bash() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let home = Home::new();
    home.write_config(&crate::config_file::account("production"));
    let script = home.run(&["completions", "bash"]).exits(0).stdout;
    std::fs::write(home.path().join("mp.bash"), script).expect("a file");
    let bin = std::path::Path::new(&*MP).parent().expect("a directory").display().to_string();
    let line = "source ./mp.bash; COMP_WORDS=(mp auth show p); COMP_CWORD=3; COMP_TYPE=9; \
                $(complete -p mp | sed 's/.*-F \\([^ ]*\\).*/\\1/') mp p show; echo \"${COMPREPLY[*]}\"";
    let direct = home.command(&[]);
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).env_clear().current_dir(home.path());
    bash.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = bash.env("PATH", format!("{bin}:/usr/bin:/bin")).output().expect("bash runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown.trim(), "production", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_command_has_a_man_page() {
    let home = Home::new();
    home.run(&["man", "pages/man1"]).exits(0).prints_nothing();
    let names = |path: &[&str]| {
        let help = home.run(&[path, &["--help"]].concat()).exits(0).stdout;
        let list = help.split_once("Commands:\n").map(|(_, list)| list.to_owned()).unwrap_or_default();
        let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
        let names = lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
        names.filter(|name| name != "help").collect::<Vec<_>>()
    };
    let mut pages = vec!["mp".to_owned()];
    for name in names(&[]) {
        pages.extend(names(&[&name]).iter().map(|below| format!("mp-{name}-{below}")));
        pages.push(format!("mp-{name}"));
    }
    let mut found: Vec<_> = std::fs::read_dir(home.path().join("pages/man1"))
        .expect("a directory")
        .map(|entry| entry.expect("a page").file_name().into_string().expect("a name"))
        .collect();
    let mut expected: Vec<_> = pages.iter().map(|page| format!("{page}.1")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(found.len() > 20);
    let page = std::fs::read_to_string(home.path().join("pages/man1/mp-fetch-profiles.1")).expect("a page");
    for text in [".TH mp-fetch-profiles 1", "\n.SH EXAMPLES\n", "mp fetch profiles \\-\\-parallel"] {
        assert!(page.contains(text), "no {text:?} in {page}");
    }
    for page in found {
        let text = std::fs::read_to_string(home.path().join("pages/man1").join(&page)).expect("a page");
        assert!(!text.contains("EXTRA") && text.contains(".SH EXAMPLES\n"), "{page}: {text}");
    }
    let page = std::fs::read_to_string(home.path().join("pages/man1/mp.1")).expect("a page");
    for section in ["\"ENVIRONMENT VARIABLES\"", "FILES", "\"EXIT CODES\""] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "{page}");
    }
}
