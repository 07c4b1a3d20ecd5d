//! Runs the command lines of `docs/schedule.md` as cron and systemd do.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use mixpanel_simulator::SimulatorConfig;

use crate::program::MP;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

const DOCUMENT: &str = include_str!("../../../../docs/schedule.md");

/// Returns the shell commands of the crontabs and of the service.
fn commands() -> Vec<String> {
    let crontab = |line: &str| {
        let times = ["17 * * * * ", "17 1 * * * "];
        times.iter().find_map(|times| line.strip_prefix(times)).map(str::to_owned)
    };
    let service = |line: &str| {
        let command = line.strip_prefix("ExecStart=/bin/sh -c '")?.strip_suffix('\'')?;
        Some(command.replace("$$", "$"))
    };
    DOCUMENT.lines().filter_map(|line| crontab(line).or_else(|| service(line))).collect()
}

#[test]
fn the_documented_command_lines_work_repeatedly_and_print_nothing_to_mail() {
    let simulator = Simulator::with_faults(250, &[]);
    let commands = commands();
    assert_eq!(commands.len(), 4, "{commands:?}");
    let now = SimulatorConfig { reference_time: jiff::Timestamp::now(), ..SimulatorConfig::default() };
    let of_events = Simulator::start(now.with_profiles(300));
    for command in commands {
        let is_of_events = command.contains("fetch events");
        let simulator = if is_of_events { &of_events } else { &simulator };
        let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
        let is_service = command.contains("CREDENTIALS_DIRECTORY");
        let home = if is_service {
            let directory = home.path().display().to_string();
            let home = home.with("CREDENTIALS_DIRECTORY", &directory);
            let home = home.with("MP_USERNAME", USERNAME).with("MP_PROJECT_ID", PROJECT).with("MP_REGION", "us");
            let secret = home.path().join("mp-secret");
            std::fs::write(&secret, CANARY).expect("a file");
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o400)).expect("its permissions");
            home
        } else {
            home.write_config(&format!(
                "[accounts.work]\nusername = \"{USERNAME}\"\nsecret = \"{CANARY}\"\nproject_id = \"{PROJECT}\"\nregion = \"us\"\n"
            ));
            home
        };
        symlink(&MP, home.path().join("mp")).expect("a link");
        let table = if is_of_events { "events" } else { "profiles" };
        let query = format!("select count(*) from {table}");
        let mut counts = Vec::new();
        for _ in 0..2 {
            let run = home.shell(&format!("PATH=\"$HOME:$PATH\"; {command}")).exits(0);
            assert_eq!(run.stderr, "", "{command}");
            assert!(is_service || run.stdout.is_empty(), "{command}: {}", run.stdout);
            counts.push(home.run(&["query", "sql", "-s", "-f", "plain", &query]).exits(0).stdout);
        }
        let count = &counts[1];
        assert_eq!(&counts[0], count, "{command}");
        match is_of_events {
            true => assert!(count.trim().parse::<u64>().is_ok_and(|rows| rows > 100), "{command}: {count}"),
            false => assert_eq!(count, "250\n", "{command}"),
        }
    }
}
