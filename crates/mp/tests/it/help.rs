//! The short and the long help of every command.

use crate::snapshot::assert_run;
use crate::support::Home;

/// Returns the subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<&str> {
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

/// Checks the help of a command and its subcommands; returns their number.
fn help_of(home: &Home, command: &[&str]) -> usize {
    let help = home.run(&[command, &["--help"]].concat()).exits(0);
    let case = |form: &str| format!("{} {form}", command.join(" "));
    let help = assert_run!(help, case("long"));
    assert_run!(home.run(&[command, &["-h"]].concat()).exits(0), case("short"));
    assert_eq!(help.stderr, "");
    let below = subcommands(&help.stdout);
    1 + below.iter().map(|name| help_of(home, &[command, &[name]].concat())).sum::<usize>()
}

#[test]
fn every_command_has_its_help() {
    assert!(help_of(&Home::new(), &[]) > 20);
}

#[test]
fn no_command_prints_help() {
    let home = Home::new();
    for command in [&[][..], &["auth"], &["fetch"], &["query"], &["inspect"], &["models"]] {
        let help = home.run(command);
        assert_eq!(help.stdout.is_empty(), help.code != Some(0));
        assert_run!(help, command.join(" "));
    }
}

/// Returns the long help of a command and of its subcommands.
fn all_helps(home: &Home, command: &[&str]) -> Vec<String> {
    let help = home.run(&[command, &["--help"]].concat()).exits(0).stdout;
    let below = subcommands(&help).into_iter().flat_map(|name| all_helps(home, &[command, &[name]].concat()));
    let below: Vec<_> = below.collect();
    [vec![help.clone()], below].concat()
}

#[test]
fn global_options_are_documented_once() {
    let home = Home::new();
    let helps = all_helps(&home, &[]);
    let listing: Vec<_> = helps.iter().filter(|help| help.contains("Global options:\n")).collect();
    assert_eq!(listing.len(), 1, "{listing:?}");
    for option in ["--account", "--project", "--db", "--base-url", "--jq", "--csv-safe", "--quiet", "--verbose"] {
        assert!(listing[0].contains(&format!(" {option}")), "no {option}");
    }
    let below = helps.iter().skip(1);
    assert!(below.clone().count() > 20);
    for help in below {
        assert!(help.contains("Global options, such as --account, --db and --format: see `mp --help`."), "{help}");
        assert!(!help.contains("--csv-safe\n") && !help.contains("  -a, --account"), "{help}");
    }
    for name in [
        "MP_ACCOUNT",
        "MP_PROJECT_ID",
        "MP_SECRET",
        "MP_REGION",
        "MP_HASH_KEY",
        "MP_CONFIG_PATH",
        "accounts.toml",
        "MP_DB",
        "MP_FORMAT",
        "MP_PARALLEL",
        "PAGER",
    ] {
        assert!(helps[0].contains(name), "no {name}");
    }
    let add = home.run(&["auth", "add", "--help"]).exits(0).stdout;
    for text in ["MP_SECRET", "MP_CONFIG_PATH", "accounts.toml", "--secret-stdin", "Service Accounts"] {
        assert!(add.contains(text), "no {text} in {add}");
    }
}

#[test]
fn the_first_line_of_every_help_is_short_and_has_no_full_stop() {
    for help in all_helps(&Home::new(), &[]) {
        let first = help.lines().next().expect("a line");
        assert!(first.len() <= 70 && !first.ends_with('.'), "{first}");
        assert!(first.chars().next().is_some_and(char::is_uppercase), "{first}");
    }
}

#[test]
fn a_bare_mp_fits_a_small_terminal() {
    let help = Home::new().run(&[]).exits(0).stdout;
    // One line is left for the next prompt.
    assert!(help.lines().count() <= 23, "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    for text in ["mp demo", "mp auth add", "mp fetch profiles", "completions", "mp --help"] {
        assert!(help.contains(text), "no {text} in {help}");
    }
}
