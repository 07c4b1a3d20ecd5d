//! A5 to A8: hostile files in place of the config file, and the precedence of settings.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mixpanel_simulator::SimulatorConfig;

use super::tools::{finish, is_root, mode, set_mode, skip_unless, started_by};
use crate::config_file::{account, add};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

#[test]
fn a05_readable_config_warns_and_becomes_private_when_changed() {
    let home = Home::new();
    home.write_config(&account("prod"));
    set_mode(&home.config(), 0o644);
    assert_run!(home.run(&["auth", "list"]).exits(0));
    add(&home, "other").exits(0);
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(home.run(&["auth", "list"]).exits(0).stderr, "");
}

#[test]
fn a05_config_that_others_can_write_is_refused() {
    for bits in [0o620, 0o602, 0o666] {
        let home = Home::new();
        home.write_config(&account("prod"));
        set_mode(&home.config(), bits);
        assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing(), "file");
        add(&home, "other").exits(1);
        assert_eq!(mode(&home.config()), bits, "nothing was changed");
    }
    let home = Home::new();
    home.write_config(&account("prod"));
    set_mode(&home.path().join(".mp"), 0o777);
    assert_run!(home.run(&["auth", "list"]).exits(1));
}

#[test]
fn a05_config_that_is_a_link_is_refused() {
    let home = Home::new();
    let target = home.path().join("target.toml");
    std::fs::write(&target, account("prod")).expect("a file");
    set_mode(&target, 0o600);
    std::fs::create_dir(home.path().join(".mp")).expect("a directory");
    symlink(&target, home.config()).expect("a link");
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());
    assert_run!(add(&home, "other").exits(1).prints_nothing());
    assert_eq!(std::fs::read_to_string(&target).expect("the target"), account("prod"));

    std::fs::remove_file(home.config()).expect("the link");
    symlink(home.path().join("nowhere"), home.config()).expect("a link");
    assert_run!(add(&home, "other").exits(1).prints_nothing());
    assert!(!home.path().join("nowhere").exists());

    std::fs::remove_file(home.config()).expect("the link");
    std::fs::hard_link(&target, home.config()).expect("a link");
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());
}

#[test]
fn a05_config_that_is_not_a_file_is_refused_at_once() {
    let home = Home::new();
    std::fs::create_dir(home.path().join(".mp")).expect("a directory");
    let made = std::process::Command::new("mkfifo").arg(home.config()).status().expect("mkfifo runs");
    assert!(made.success());
    set_mode(&home.config(), 0o600);
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());
    std::fs::remove_file(home.config()).expect("the pipe");
    std::fs::create_dir(home.config()).expect("a directory");
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());

    let home = Home::new();
    home.write_config("");
    let file = std::fs::File::options().write(true).open(home.config()).expect("the file");
    file.set_len(10 << 30).expect("a large file");
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());
}

#[test]
fn a05_config_that_is_a_device_is_refused_at_once() {
    for device in ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem"] {
        if Path::new(device).exists() {
            let home = Home::new().with("MP_CONFIG_PATH", device);
            assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing(), device);
            add(&home, "prod").exits(1).prints_nothing();
        }
    }
}

#[test]
fn a05_config_of_another_user_is_refused() {
    if !skip_unless(is_root(), "only root can give files away") {
        return;
    }
    let home = Home::new();
    home.write_config(&account("prod"));
    std::os::unix::fs::chown(home.config(), Some(65_534), None).expect("root may");
    assert_run!(home.run(&["auth", "list"]).exits(1).prints_nothing());
    add(&home, "other").exits(1).prints_nothing();
    assert_eq!(std::fs::read_to_string(home.config()).expect("the file"), account("prod"));
    assert_eq!(mode(&home.config()), 0o600);
}

#[test]
fn a06_a_link_in_place_of_the_temporary_file_is_not_written_through() {
    let home = Home::new();
    home.write_config(&account("prod"));
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").expect("a file");
    set_mode(&victim, 0o644);
    // The name contains the process ID, which `exec` preserves.
    let plant = "for name in .accounts.toml.$$.tmp .accounts.toml.tmp accounts.toml.tmp; do ln -s \"$PWD/victim\" \".mp/$name\"; \
                 done; exec \"$0\" \"$@\"";
    let direct = home.command(&["auth", "switch", "prod"]);
    finish(started_by(&["sh", "-c", plant], &direct)).exits(0);
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "precious");
    assert_eq!(mode(&victim), 0o644);
    assert_eq!(mode(&home.config()), 0o600);
    assert!(std::fs::symlink_metadata(home.config()).expect("the config file").is_file());
}

#[test]
fn a06_constantly_swapped_config_is_read_correctly_or_refused() {
    let home = Home::new();
    home.write_config(&account("prod"));
    let directory = home.path().join(".mp");
    let victim = home.path().join("victim.toml");
    std::fs::write(&victim, account("victim")).expect("a file");
    set_mode(&victim, 0o644);
    let at = |name: &str| directory.join(name);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                symlink(&victim, at("link")).expect("a link");
                std::fs::write(at("file"), account("prod")).expect("a file");
                set_mode(&at("file"), 0o600);
                std::fs::rename(at("link"), home.config()).expect("a rename");
                std::fs::rename(at("file"), home.config()).expect("a rename");
            }
        });
        let commands = [["auth", "list"].as_slice(), &["auth", "switch", "prod"]];
        let runs: Vec<_> = commands.iter().cycle().take(40).map(|arguments| home.run(arguments)).collect();
        done.store(true, Ordering::Relaxed);
        for run in runs {
            assert!(!run.stdout.contains("victim"), "{}", run.stdout);
            match run.code {
                Some(0) => assert!(run.stdout.contains("prod"), "{}", run.stdout),
                _ => drop(assert_run!(run.exits(1).of_any_command(), "refused")),
            }
        }
    });
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), account("victim"));
    assert_eq!(mode(&victim), 0o644);
}

#[test]
fn a07_files_of_the_current_directory_are_not_read() {
    let clone = Home::new();
    let planted = format!(
        "default = \"planted\"\nbase_url = \"http://127.0.0.1:9\"\nsecret_command = \"touch planted.ran\"\n{}",
        account("planted")
    );
    std::fs::create_dir_all(clone.path().join(".mp")).expect("a directory");
    let names = [".mp/config.toml", "config.toml", "mp.toml", ".mp.toml", "mixpanel.toml", ".mixpanel_data.toml"];
    for name in names {
        std::fs::write(clone.path().join(name), &planted).expect("a file");
        set_mode(&clone.path().join(name), 0o600);
    }
    let variables = format!(
        "MP_USERNAME=planted\nMP_SECRET={CANARY}\nMP_PROJECT_ID=666\nMP_REGION=us\nMP_BASE_URL=http://127.0.0.1:9\n"
    );
    std::fs::write(clone.path().join(".env"), variables).expect("a file");
    for home in [Home::new(), Home::new().with("XDG_CONFIG_HOME", "")] {
        let run = |arguments: &[&str]| {
            let mut command = home.command(arguments);
            command.current_dir(clone.path());
            finish(command)
        };
        assert_eq!(run(&["auth", "list"]).exits(0).stdout, "[]\n");
        for arguments in [&["auth", "test"][..], &["fetch", "profiles"]] {
            let run = assert_run!(run(arguments).exits(4).prints_nothing(), "no credentials");
            assert!(!run.stderr.contains("requests go to"), "{}", run.stderr);
        }
    }
    assert!(!clone.path().join("planted.ran").exists());
}

fn two_accounts() -> String {
    let account = |name: &str, secret: &str| {
        format!(
            "[accounts.{name}]\nusername = \"{USERNAME}\"\nsecret = \"{secret}\"\nproject_id = \"{PROJECT}\"\nregion = \"us\"\n"
        )
    };
    format!("default = \"good\"\n{}{}", account("good", CANARY), account("wrong", "not-it"))
}

fn home(simulator: &Simulator) -> Home {
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    home.write_config(&two_accounts());
    home
}

#[test]
fn a07_requests_go_only_to_loopback_or_mixpanel() {
    let home = Home::new();
    home.write_config(&two_accounts());
    let urls = [
        "http://example.org",
        "https://example.org",
        "https://mixpanel.com.example.org",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::ffff:10.0.0.1]",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1@example.org",
        "http://example.org#@127.0.0.1",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1",
        "http://127.0.0.1/?x=y",
        "nonsense",
        "",
    ];
    for url in urls {
        let run = home.run(&["auth", "test", "--base-url", url]).exits(3).prints_nothing();
        assert_run!(run);
    }
    let run = home.run(&["auth", "test", "--base-url", "http://127.0.0.1:1"]).exits(1).prints_nothing();
    assert_run!(run.exits(1));
}

#[test]
fn a08_named_account_beats_environment_beats_default() {
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
    assert_run!(wrong.run(&["auth", "test"]).exits(2).prints_nothing());
    assert_eq!(account(&wrong, &["auth", "test", "--account", "good"]), "good");
    assert_eq!(account(&wrong, &["-a", "good", "auth", "test"]), "good");
    assert_eq!(account(&wrong.with("MP_ACCOUNT", "good"), &["auth", "test"]), "good");
    let wrong = complete(home(&simulator), "not-it").with("MP_ACCOUNT", "wrong");
    assert_eq!(account(&wrong, &["auth", "test", "-a", "good"]), "good");
    assert_run!(wrong.run(&["auth", "test", "-a", "gone"]).exits(4).prints_nothing());
}

#[test]
fn a08_incomplete_environment_names_the_missing_variables() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let all = [("MP_USERNAME", USERNAME), ("MP_SECRET", CANARY), ("MP_PROJECT_ID", PROJECT), ("MP_REGION", "us")];
    // Every subset with a user name or a secret, but without one of the three that belong together.
    for set in (1..15_u32).filter(|set| set & 0b0011 != 0 && set & 0b0111 != 0b0111) {
        let given = |number: usize| set & (1 << number) != 0;
        let home = all
            .iter()
            .enumerate()
            .filter(|(number, _)| given(*number))
            .fold(home(&simulator), |home, (_, (name, value))| home.with(name, value));
        let run = home.run(&["auth", "test"]).exits(4).prints_nothing();
        let names: Vec<&str> = (0..4).filter(|number| given(*number)).map(|number| all[number].0).collect();
        assert_run!(run, names.join(" "));
        assert_eq!(home.run(&["auth", "test", "-a", "good"]).exits(0).json()["account"], "good");
    }
    // The project alone replaces that of the account, and the region alone selects nothing.
    let run = home(&simulator).with("MP_PROJECT_ID", PROJECT).run(&["auth", "test"]).exits(0);
    assert_eq!((&run.json()["account"], &run.json()["project_id"]), (&"good".into(), &PROJECT.into()));
    home(&simulator).with("MP_REGION", "eu").run(&["auth", "test"]).exits(0);
    assert_eq!(simulator.stats().replies_by_status.keys().copied().collect::<Vec<_>>(), [200]);
}

#[test]
fn a08_empty_variables_are_refused_rather_than_ignored() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let names =
        ["MP_ACCOUNT", "MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION", "MP_CONFIG_PATH", "MP_BASE_URL"];
    for name in names {
        for (value, case) in [("", "empty"), (" ", "blank"), ("\r\n", "empty"), ("a\nb", "several lines")] {
            if name == "MP_CONFIG_PATH" && !value.is_empty() {
                continue;
            }
            for arguments in [&["auth", "test"][..], &["fetch", "profiles"], &["inspect", "tables"], &["auth", "list"]]
            {
                let run = home(&simulator).with(name, value).run(arguments).prints_nothing();
                assert_run!(run.exits(3).of_any_command(), format!("{name} {case}"));
            }
        }
        home(&simulator).with(name, "").run(&["--help"]).exits(0);
    }
    assert_eq!(simulator.stats().requests, 0);
    // A byte order mark and line ends around a value are removed.
    let all = [("MP_USERNAME", USERNAME), ("MP_SECRET", CANARY), ("MP_PROJECT_ID", PROJECT), ("MP_REGION", "us")];
    let base_url = format!("{}\r\n", simulator.base_url());
    let home = Home::new().with("MP_BASE_URL", &base_url);
    let home = all.iter().fold(home, |home, (name, value)| home.with(name, &format!("\u{feff}{value}\r\n")));
    home.run(&["auth", "test"]).exits(0);
}
