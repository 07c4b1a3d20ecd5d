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
    for command in [&[][..], &["auth"], &["fetch"], &["query"], &["inspect"]] {
        let help = home.run(command);
        assert_eq!(help.stdout.is_empty(), help.code != Some(0));
        assert_run!(help, command.join(" "));
    }
}
