//! A21, A24 and A25: output files, leftover files, and the origin of the dependencies.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::process::Signal;

use super::tools::{Running, all_but_state, everything_below, finish, mode, set_mode, started_by};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

#[test]
fn a21_a_link_in_place_of_a_completion_script_is_replaced_and_not_written_through() {
    let home = Home::new();
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").expect("a file");
    let scripts = home.path().join(".config/fish/completions");
    std::fs::create_dir_all(&scripts).expect("a directory");
    for target in [victim.as_path(), Path::new("nowhere")] {
        let _first = std::fs::remove_file(scripts.join("mp.fish"));
        symlink(target, scripts.join("mp.fish")).expect("a link");
        home.run(&["--install-completion", "fish"]).exits(0);
        assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "precious");
        assert!(std::fs::symlink_metadata(scripts.join("mp.fish")).expect("the script").is_file());
    }
    let script = std::fs::read_to_string(scripts.join("mp.fish")).expect("the script");
    assert!(script.contains("--command mp"), "{script}");
    // The script can be updated, and no other file is left.
    home.run(&["--install-completion", "fish"]).exits(0);
    assert_eq!(std::fs::read_dir(&scripts).expect("the directory").count(), 1);
}

#[test]
fn a21_demo_does_not_overwrite_existing_files() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("directory")).expect("a directory");
    std::fs::write(home.path().join("file"), "precious").expect("a file");
    symlink("nowhere", home.path().join("dangling")).expect("a link");
    symlink("directory", home.path().join("link")).expect("a link");
    std::fs::write(home.path().join("directory/demo.db"), "precious").expect("a file");
    for place in ["file", "dangling", "link", "directory"] {
        assert_run!(home.run(&["demo", "--fast", "-q", "--keep", place]).exits(1).prints_nothing(), place);
    }
    assert!(!home.path().join("nowhere").exists());
    for file in ["file", "directory/demo.db"] {
        assert_eq!(std::fs::read_to_string(home.path().join(file)).expect("the file"), "precious");
    }
}

#[test]
fn a21_database_is_not_created_through_a_symlink() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    symlink(home.path().join("elsewhere.db"), home.path().join("link.db")).expect("a link");
    assert_run!(home.run(&["fetch", "profiles", "--db", "link.db"]).exits(1).prints_nothing());
    assert!(!home.path().join("elsewhere.db").exists());
    assert_eq!(simulator.stats().requests, 0);
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect(name)
}

#[test]
fn a24_dependencies_use_crates_io_with_checksums() {
    let lock = text("Cargo.lock");
    let mut foreign = 0;
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find(|line| line.starts_with("name = ")).expect("a name");
        let source = package.lines().find(|line| line.starts_with("source = "));
        // Packages without a source are our own.
        let Some(source) = source else {
            assert!(
                ["mixpanel-bench", "mixpanel-data", "mixpanel-simulator", "mp", "xtask"]
                    .iter()
                    .any(|ours| name.contains(ours)),
                "{name}"
            );
            continue;
        };
        assert_eq!(source, "source = \"registry+https://github.com/rust-lang/crates.io-index\"", "{name}");
        let checksum = package.lines().find_map(|line| line.strip_prefix("checksum = ")).expect("a checksum");
        assert_eq!(checksum.trim_matches('"').len(), 64, "{name}");
        foreign += 1;
    }
    assert!(foreign > 100, "{foreign}");
}

#[test]
fn a24_sources_bans_and_the_lock_file_are_enforced() {
    let deny = text("deny.toml");
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\""] {
        assert!(deny.contains(rule), "{rule}");
    }
    assert!(!deny.contains("allow-git") && !deny.contains("GPL"), "{deny}");
    assert!(text("xtask/src/cargo.rs").contains("\"--locked\"") && text("xtask/src/check.rs").contains("\"--locked\""));
    let manifests = ["Cargo.toml", "crates/mixpanel-data/Cargo.toml", "crates/mp/Cargo.toml", "xtask/Cargo.toml"];
    for name in manifests {
        let manifest = text(name);
        assert!(!manifest.contains("git = \"") && !manifest.contains("[patch"), "{name}");
    }
}

#[test]
fn a24_the_engine_is_pinned_by_version_and_checksum() {
    assert!(text("Cargo.toml").contains("duckdb = { version = \"=1."));
    let platforms = text("xtask/src/platform.rs");
    let is_pin = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pins: Vec<&str> = platforms.split('"').filter(is_pin).collect();
    assert!(pins.len() >= 4, "{pins:?}");
    let npm = text("xtask/src/npm.rs");
    let (checked, unpacked) =
        (npm.find("cache::sha256(").expect("a check"), npm.find("Command::new(\"tar\")").expect("tar"));
    assert!(checked < unpacked, "the archive is checked before it is unpacked");
    // The build script uses no network and starts no programs.
    let build = text("crates/mp/build.rs");
    for word in ["Command", "TcpStream", "http", "curl"] {
        assert!(!build.contains(word), "{word}");
    }
}

/// Returns the command with a umask that makes new files accessible to everyone.
fn careless(home: &Home, arguments: &[&str]) -> std::process::Command {
    started_by(&["sh", "-c", "umask 000; exec \"$0\" \"$@\""], &home.command(arguments))
}

/// P14: checks that only the owner can access the files created.
fn check_private(home: &Home) {
    for path in everything_below(home.path()) {
        let found = match std::fs::symlink_metadata(&path) {
            // A fetch in progress has renamed it since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            found => found.expect("what is there can be looked at"),
        };
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        let mode = found.permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
    }
}

#[test]
fn a25_all_files_are_private() {
    let simulator = Simulator::with_faults(500, &["pages=3 status=404 times=1"]);
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let add = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--secret-stdin", "--no-test"];
    let mut command = assert_cmd::Command::from_std(careless(&home, &add));
    command.write_stdin(CANARY).assert().success();
    check_private(&home);
    let table: [(&[&str], i32); 12] = [
        (&["auth", "switch", "prod"], 0),
        (&["fetch", "profiles", "--parallel", "-q"], 1),
        (&["fetch", "profiles", "other", "-q"], 0),
        (&["fetch", "profiles", "--append", "-q"], 0),
        (&["fetch", "profiles", "--replace", "--parallel", "-q"], 0),
        (&["fetch", "profiles", "--db", "new/directory/x.db", "-q"], 0),
        (&["fetch", "profiles", "--stdout", "-q"], 0),
        (&["query", "sql", "SELECT count(*) FROM profiles"], 0),
        (&["inspect", "tables"], 0),
        (&["inspect", "drop", "-t", "other", "--force"], 0),
        (&["auth", "remove", "prod", "--force"], 0),
        (&["demo", "--fast", "-q", "--keep", "demo"], 0),
    ];
    for (arguments, code) in table {
        let _run = finish(careless(&home, arguments)).exits(code);
        check_private(&home);
    }
}

#[test]
fn a25_fetch_leaves_only_the_database() {
    let simulator = Simulator::with_faults(500, &["pages=2 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    for mode in ["--append", "--append", "--replace"] {
        home.run(&["fetch", "profiles", "--parallel", "-q", mode]).exits(0);
        let left: Vec<_> = all_but_state(home.path()).into_iter().filter(|path| !path.is_dir()).collect();
        assert_eq!(left, [home.database()]);
    }
    let directories = all_but_state(home.path()).into_iter().filter(|path| path.is_dir()).count();
    assert_eq!(directories, 2, "{:?}", all_but_state(home.path()));
}

#[test]
fn a25_files_of_an_interrupted_fetch_are_private() {
    let simulator = Simulator::with_faults(1_000, &["pages=7 delay=60s"]);
    for signal in [Signal::KILL, Signal::TERM] {
        let home = Home::new().with_server(&simulator);
        let mut fetch = Running::until(careless(&home, &["fetch", "profiles", "--parallel"]), "page 4");
        check_private(&home);
        fetch.send(signal);
        if signal == Signal::TERM {
            // The second signal stops the process immediately.
            fetch.wait_for("stopping");
            fetch.send(signal);
        }
        let _ended = fetch.end();
        check_private(&home);
        let files = everything_below(home.path());
        assert!(files.iter().any(|path| path.extension().is_some_and(|extension| extension == "parquet")), "{files:?}");
        assert!(!home.database().exists());
    }
}

#[test]
fn a25_shared_directory_keeps_its_permissions() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let shared = home.path().join("shared");
    std::fs::create_dir(&shared).expect("a directory");
    set_mode(&shared, 0o1777);
    finish(careless(&home, &["fetch", "profiles", "-q", "--db", "shared/x.db"])).exits(0);
    assert_eq!(mode(&shared), 0o1777);
    assert_eq!(mode(&shared.join("x.db")), 0o600);
    assert_eq!(std::fs::read_dir(&shared).expect("the directory").count(), 1);
}
