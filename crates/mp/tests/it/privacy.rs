//! Properties that are dropped or hashed: `--drop`, `--hash`, and the config file.

mod empty_name;
mod refreshed;

use std::path::{Path, PathBuf};

use mixpanel_simulator::{OddProfile, ProfileSource, Records, SimulatorConfig};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{end, send, start};
use crate::snapshot::assert_run;
use crate::stream::serving;
use crate::support::{Home, Run, Simulator};

const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER_KEY: &str = "another key of more than 16 bytes";

/// Computed with Python: `hmac.new(KEY, TEXT, "sha256").hexdigest()`.
const ALICE: &str = "cbcfbf3febad10c13297cc73e14bfe7cb179141b63b0a908b33d02679f46f4a7";
const U1: &str = "8f170471e55651345c0d04dea2e56782ada2c97c2be72b2d629fab33891d9bfc";
const ZOE: &str = "0536c55f9061c17161f939f88ae5e868e0df335ef77fcea9154f6913b061a197";
const NUMBER: &str = "1f209fbe24c29cf1b9e9e0c141406da68359132718cfa8114d043eac6f1d5298";
const OBJECT: &str = "07248a3ad645fe3016cdaf08691d57a1db5c02c595e235d6e79af1ca146d2335";
const TRUE: &str = "e730b39611de8e7a168f473451ad3d59c71f2b89bc5900f649a1c5dc3a4ae05f";

/// Runs a fetch whose table differs from what the server sent, which the usual check of a fetch would report.
fn fetch(home: &Home, arguments: &[&str]) -> Run {
    home.run_with_input(&[&["fetch"], arguments].concat(), "")
}

/// Runs the command without the key, or with another one.
fn with_key(home: &Home, key: Option<&str>, arguments: &[&str]) -> Run {
    let mut command = home.command(arguments);
    command.env_remove("MP_HASH_KEY").envs(key.map(|key| ("MP_HASH_KEY", key)));
    Run::new(command.output().expect("the command runs"))
}

fn plain(home: &Home, sql: &str) -> String {
    home.run(&["query", "sql", sql, "-f", "plain"]).exits(0).stdout
}

/// Returns the files below a directory that contain one of these texts.
fn files_with(directory: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let has = |text: &&str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if texts.iter().any(has) {
                found.push(path);
            }
        }
    }
    found
}

/// Texts that compression cannot hide, because nothing before them has parts of them.
const CANARIES: [&str; 2] = ["Wq7mXk-", "Jv3zRt-"];

/// Starts a simulator with 240 such profiles on five pages.
fn with_canaries(faults: &[&str]) -> Simulator {
    let records: Vec<String> = (0..240)
        .map(|number| {
            format!(
                r#"{{"$distinct_id":"u{number}","$properties":{{"$email":"Wq7mXk-{number}","plan":"pro","\u0024phone":["Jv3zRt-{number}"],"n":{number}}}}}"#
            )
        })
        .collect();
    let records = Records::read(records.join("\n").as_bytes()).expect("records");
    let config = SimulatorConfig {
        profiles: ProfileSource::Records(records.into()),
        page_size: 50,
        faults: faults.iter().map(|fault| fault.parse().expect("a fault")).collect(),
        ..SimulatorConfig::default()
    };
    Simulator::start(config)
}

const STUCK: &str = "pages=3 delay=300s times=1";
const RULES: [&str; 4] = ["--drop", "$phone", "--hash", "$email"];

#[test]
fn every_kind_of_value_is_hashed_and_dropped_properties_are_gone() {
    let simulator = serving(
        r#"{"$distinct_id":"u1","$properties":{"$email":"alice@example.com","\u0024phone":"1","a":1.50}}
{"$distinct_id":"u2","$properties":{ "$email" : "Zo\u00eb" , "$phone":[1], "b":{"$email":"kept"} }}
{"$distinct_id":"u3","$properties":{"$email":1E5}}
{"$distinct_id":"u4","$properties":{"$email":{"a": 1},"c":"c"}}
{"$distinct_id":"u5","$properties":{"$email":[ true,null ,"alice@example.com"]}}
{"$distinct_id":"u6","$properties":{"$email":null,"$phone":{}}}
{"$distinct_id":"u7","$properties":{"$email":"alice@example.com","$email":"Zoë","$Email":"other"}}
{"$distinct_id":"u8","$properties":{"$phone":1}}"#,
    );
    let expected = format!(
        r#"{{"$email":"{ALICE}","a":1.50}}
{{ "$email" : "{ZOE}", "b":{{"$email":"kept"}} }}
{{"$email":"{NUMBER}"}}
{{"$email":"{OBJECT}","c":"c"}}
{{"$email":[ "{TRUE}",null ,"{ALICE}"]}}
{{"$email":null}}
{{"$email":"{ALICE}","$email":"{ZOE}","$Email":"other"}}
{{}}
"#
    );
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    for (table, mode) in [("one", &["-q"][..]), ("two", &["-q", "--parallel"])] {
        let _fetched = fetch(&home, &[&["profiles", table], mode, &RULES].concat()).exits(0);
        let stored = plain(&home, &format!("SELECT properties::VARCHAR FROM {table} ORDER BY distinct_id"));
        assert_eq!(stored, expected, "{mode:?}");
        assert_eq!(home.run(&["verify", table]).exits(0).json()["problems"], json!([]));
    }
    let recorded = r#"{"drop":["$phone"],"hash":["$email"],"key_check":"a0e1a009"}"#;
    assert_eq!(plain(&home, "SELECT property_rules::VARCHAR FROM _fetches"), format!("{recorded}\n{recorded}\n"));
    let names = "SELECT string_agg(DISTINCT name, ',' ORDER BY name) FROM _properties";
    assert_eq!(plain(&home, names), "$Email,$email,a,b,c\n");
    let joined = "SELECT count(*) FROM one a JOIN two b ON prop(a.properties, '$email') = prop(b.properties, '$email')";
    assert!(plain(&home, joined).trim().parse::<u32>().expect("a number") >= 7);
    let _exported = home.run(&["export", "one", "one.parquet", "-q"]).exits(0);
    assert_eq!(files_with(home.path(), &["mixpanel_data.property_rules"]), [home.path().join("one.parquet")]);
    // A stream has the same values.
    let run = fetch(&home, &[&["profiles", "--stdout", "-q"][..], &RULES].concat()).exits(0);
    let streamed: Vec<String> =
        run.stdout.lines().map(|line| line.split_once(r#""properties":"#).unwrap().1.to_owned()).collect();
    let expected: Vec<String> = expected.lines().map(|line| format!("{line}}}")).collect();
    assert_eq!(streamed, expected);
}

/// The values are in no file, log or message: not while the fetch runs, not after it was killed, and not after it was
/// resumed, which needs the same key.
#[test]
fn values_are_nowhere_on_disk_and_a_resume_needs_the_key() {
    let simulator = with_canaries(&[STUCK]);
    let killed = |home: &Home, more: &[&str]| {
        let (child, words) = start(home, &[&["fetch", "profiles", "users", "-v"], more].concat(), "page 2");
        send(&child, Signal::KILL);
        end(child, words).stderr
    };
    // Without the options, the stage has them.
    let home = Home::new().with_server(&simulator);
    let _killed = killed(&home, &[]);
    for canary in CANARIES {
        assert!(!files_with(home.path(), &[canary]).is_empty(), "the search finds nothing");
    }
    let simulator = with_canaries(&[STUCK]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let log = killed(&home, &RULES);
    assert!(CANARIES.iter().all(|canary| !log.contains(canary)), "{log}");
    let nowhere = || assert_eq!(files_with(home.path(), &[&CANARIES[..], &[KEY]].concat()), Vec::<PathBuf>::new());
    nowhere();
    let before = simulator.stats().requests;
    for (case, key) in [("no key", None), ("another key", Some(OTHER_KEY)), ("a short key", Some("0123456789abcde"))] {
        let run = with_key(&home, key, &["fetch", "resume", "-q"]).exits(3).prints_nothing();
        assert_run!(run, case);
    }
    assert_eq!(simulator.stats().requests, before);
    let result = fetch(&home, &["resume", "-q"]).exits(0).json();
    assert_eq!((&result["rows"], simulator.stats().requests), (&json!(240), before + 2));
    nowhere();
    let hashed =
        "SELECT count(DISTINCT prop(properties, '$email')) FROM users WHERE length(prop(properties, '$email')) = 64";
    assert_eq!(plain(&home, hashed), "240\n");
    assert_eq!(
        plain(&home, "SELECT count(*) FROM users WHERE properties::VARCHAR SIMILAR TO '.*(Wq7mXk|Jv3zRt).*'"),
        "0\n"
    );
}

#[test]
fn the_pages_of_a_run_can_be_loaded_without_its_key() {
    let simulator = with_canaries(&["pages=3 status=404"]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let _partial = fetch(&home, &[&["profiles", "users", "-q"][..], &RULES].concat()).exits(1);
    let run = with_key(&home, None, &["fetch", "resume", "-q", "--accept-partial"]);
    assert_eq!(run.exits(1).json()["failed_page_indices"], json!([3]));
    assert_eq!(plain(&home, "SELECT count(*) FROM users"), "190\n");
}

#[test]
fn a_plan_keeps_page_0_for_a_fetch_with_the_same_rules_only() {
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let plan = fetch(&home, &[&["profiles", "users", "--plan", "-q"][..], &RULES].concat()).exits(0).json();
    assert_eq!(files_with(home.path(), &CANARIES), Vec::<PathBuf>::new());
    let same = fetch(&home, &[&["profiles", "users", "-q"][..], &RULES].concat()).exits(0).json();
    assert_eq!(same["run_id"], plan["run_id"]);
    let plan = fetch(&home, &[&["profiles", "users", "--plan", "-q"][..], &RULES].concat()).exits(0).json();
    let other = fetch(&home, &["profiles", "users", "-q", "--replace", "--drop", "$phone,$email"]).exits(0).json();
    assert_ne!(other["run_id"], plan["run_id"]);
    assert_eq!(simulator.stats().requests, 1 + 4 + 1 + 5);
    assert_eq!(files_with(home.path(), &CANARIES), Vec::<PathBuf>::new());
}

#[test]
fn rows_with_other_rules_are_not_added_to_a_table() {
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let _ruled = fetch(&home, &[&["profiles", "ruled", "-q"][..], &RULES].concat()).exits(0);
    let _free = home.run(&["fetch", "profiles", "free", "-q"]).exits(0);
    let before = simulator.stats().requests;
    let cases: [(&str, &[&str]); 6] = [
        ("nothing dropped", &["ruled", "--append", "--hash", "$email"]),
        ("nothing hashed", &["ruled", "--upsert", "--drop", "$phone"]),
        ("no rules", &["ruled", "--since", "last"]),
        ("more dropped", &["ruled", "--append", "--hash", "$email", "--drop", "$phone,\"a,b\""]),
        ("rules for a table without", &["free", "--append", "--drop", "$phone"]),
        ("a plan", &["free", "--upsert", "--plan", "--drop", "$phone"]),
    ];
    for (case, arguments) in cases {
        let run = home.run(&[&["fetch", "profiles", "-q"], arguments].concat()).exits(3).prints_nothing();
        assert_run!(run, case);
    }
    let since = [&["fetch", "profiles", "ruled", "-q", "--since", "last"][..], &RULES].concat();
    let run = with_key(&home, Some(OTHER_KEY), &since).exits(3).prints_nothing();
    assert_run!(run, "another key");
    assert_eq!(simulator.stats().requests, before);
    for how in [&["--append"][..], &["--upsert"], &["--since", "last"]] {
        let arguments = [&["profiles", "RULED", "-q"], how, &["--hash", "$email,$email", "--drop", "$phone"]].concat();
        let _same = fetch(&home, &arguments).exits(0);
        assert_eq!(plain(&home, "SELECT count(*) FROM ruled"), "240\n");
    }
    // A version without such rules has recorded none.
    let connection = duckdb::Connection::open(home.database()).expect("the database");
    connection.execute_batch("ALTER TABLE _fetches DROP COLUMN property_rules").expect("a column");
    drop(connection);
    fetch(&home, &[&["profiles", "free", "-q", "--append"][..], &RULES].concat())
        .exits(3)
        .says(&["dropped no property"]);
    let _exported = home.run(&["export", "free", "free.parquet", "-q"]).exits(0);
    let _free = home.run(&["fetch", "profiles", "free", "-q", "--append"]).exits(0);
}

#[test]
fn hashed_ids_stay_the_same_from_load_to_load() {
    let simulator = serving(
        r#"{"$distinct_id":"u1","$properties":{"$last_seen":"2026-01-01T00:00:00","distinct_id":"u1"}}
{"$distinct_id":"u2","$properties":{}}
{"$distinct_id":"u1","$properties":{"a":1}}"#,
    );
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let rules = ["--hash", "distinct_id"];
    let result =
        fetch(&home, &[&["profiles", "users", "-q", "--allow-drift", "50"][..], &rules].concat()).exits(0).json();
    assert_eq!((&result["rows"], &result["duplicates"]), (&json!(2), &json!(1)));
    for how in [&["--append"][..], &["--upsert"], &["--since", "last"]] {
        let _again =
            fetch(&home, &[&["profiles", "users", "-q", "--allow-drift", "50"], how, &rules].concat()).exits(0);
        assert_eq!(plain(&home, "SELECT count(*) FROM users"), "2\n", "{how:?}");
    }
    assert_eq!(plain(&home, &format!("SELECT count(*) FROM users WHERE distinct_id = '{U1}'")), "1\n");
    assert_run!(fetch(&home, &["profiles", "other", "--drop", "distinct_id"]).exits(3).prints_nothing());
}

#[test]
fn rejects_keep_no_value_either() {
    let config = SimulatorConfig {
        odd_profiles: vec![(1, OddProfile::IdMissing), (2, OddProfile::PropertiesArray), (3, OddProfile::NotAnObject)],
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config.with_profiles(50));
    let home = Home::new().with_server(&simulator);
    let rules = ["--drop", "plan"];
    let _fetched = fetch(&home, &[&["profiles", "users", "-q", "--allow-rejects"][..], &rules].concat()).exits(0);
    assert_run!(
        home.run(&["query", "sql", "SELECT position, reason, raw FROM _rejects ORDER BY position", "-f", "jsonl"])
            .exits(0)
    );
    assert_eq!(home.run(&["verify", "users"]).exits(0).json()["problems"], json!([]));
}

#[test]
fn a_property_that_no_profile_has_is_named() {
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    for (case, arguments) in [
        ("two", &["one", "--drop", "$phone,$emial", "--hash", "Plan"][..]),
        ("one", &["two", "--drop", "$emial"]),
        ("none", &["three", "--drop", "$email"]),
        ("not requested", &["four", "-o", "plan", "--drop", "$email"]),
        ("stream", &["--stdout", "--drop", "$emial"]),
    ] {
        let run = fetch(&home, &[&["profiles", "--no-progress"], arguments].concat()).exits(0);
        let warning = run.stderr.lines().find(|line| line.starts_with("warning")).unwrap_or_default();
        let expected = match case {
            "two" => "warning: no profile has the properties `$emial`, `Plan`; names are case-sensitive",
            "one" | "stream" => "warning: no profile has the property `$emial`; names are case-sensitive",
            _ => "",
        };
        assert_eq!(warning, expected, "{case}");
    }
}

#[test]
fn wrong_rules_and_keys_are_refused_before_any_request() {
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator);
    for (case, key, arguments) in [
        ("no key", None, &["--hash", "$email"][..]),
        ("short key", Some("0123456789abcde"), &["--hash", "$email"]),
        ("empty key", Some(""), &["--hash", "$email"]),
        ("key with spaces", Some(" 0f1e2d3c4b5a6978"), &["--hash", "$email"]),
        ("no names", Some(KEY), &["--hash", "", "--drop", ","]),
        ("open quote", Some(KEY), &["--drop", "\"a,b"]),
        ("both", Some(KEY), &["--drop", "$email", "--hash", "$phone,$email"]),
        ("raw", Some(KEY), &["--drop", "$email", "--stdout", "--raw"]),
    ] {
        let run = with_key(&home, key, &[&["fetch", "profiles", "-q"], arguments].concat()).exits(3).prints_nothing();
        assert!(key.is_none_or(|key| key.is_empty() || !run.stderr.contains(key)), "{}", run.stderr);
        assert_run!(run, case);
    }
    assert_eq!(simulator.stats().requests, 0);
    assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
}

#[test]
fn the_config_file_can_set_rules_and_the_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator);
    let key_file = home.path().join("hash.key");
    let write_key = |text: &str, mode: u32| {
        std::fs::write(&key_file, text).expect("a file");
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(mode)).expect("its permissions");
    };
    let recorded = || plain(&home, "SELECT property_rules::VARCHAR FROM _fetches ORDER BY rowid DESC LIMIT 1");
    let rules = "[defaults]\ndrop = [\"$phone\"]\nhash = [\"$email\"]\n";
    let check = "a0e1a009";
    write_key(&format!("{KEY}\n"), 0o600);
    for key in [format!("hash_key = \"{KEY}\"\n"), "hash_key_file = \"~/hash.key\"\n".to_owned()] {
        home.write_config(&format!("{rules}{key}"));
        let _fetched = fetch(&home, &["profiles", "-q", "--replace"]).exits(0);
        let expected = format!(r#"{{"drop":["$phone"],"hash":["$email"],"key_check":"{check}"}}"#);
        assert_eq!(recorded(), expected + "\n");
    }
    // Options add to the file, and a property that it hashes can be dropped.
    let _fetched = fetch(&home, &["profiles", "-q", "--replace", "--drop", "$email,n"]).exits(0);
    assert_eq!(recorded(), "{\"drop\":[\"$email\",\"$phone\",\"n\"],\"hash\":[],\"key_check\":null}\n");
    let run = fetch(&home, &["profiles", "--stdout", "--raw", "-q"]).exits(3).prints_nothing();
    assert_run!(run, "raw");
    let run = fetch(&home, &["profiles", "--replace", "-q", "--hash", "$phone"]).exits(3).prints_nothing();
    assert_run!(run, "hashed instead of dropped");
    write_key(KEY, 0o644);
    let run = fetch(&home, &["profiles", "-q", "--replace"]).exits(0);
    assert_run!(run.counting_lines(), "others can read the key");
    for (case, text, mode) in [("others can write", KEY, 0o622), ("two lines", "a\nb\n", 0o600), ("empty", "", 0o600)] {
        write_key(text, mode);
        assert_run!(fetch(&home, &["profiles", "-q", "--replace"]).exits(1).prints_nothing(), case);
    }
    std::fs::remove_file(&key_file).expect("a file");
    assert_run!(fetch(&home, &["profiles", "-q", "--replace"]).exits(4).prints_nothing(), "no file");
    for (case, key) in [
        ("two keys", "hash_key = \"a\"\nhash_key_file = \"b\"\n"),
        ("no list", "drop = 1\n"),
        ("secret", "hash_key = [\"Wq7mXk-\"]\n"),
    ] {
        home.write_config(&format!("[defaults]\n{key}"));
        let run = fetch(&home, &["profiles", "-q", "--replace"]).exits(1).prints_nothing();
        assert!(!run.stderr.contains("Wq7mXk"), "{}", run.stderr);
        assert_run!(run, case);
    }
}

/// The rules are recorded with the run, also for programs that list it.
#[test]
fn an_older_version_does_not_resume_a_run_with_rules() {
    let simulator = with_canaries(&["pages=3 status=404"]);
    let home = Home::new().with_server(&simulator);
    for (table, options, format) in [("free", &[][..], 2), ("ruled", &["--drop", "$phone"][..], 3)] {
        let run = fetch(&home, &[&["profiles", table, "-q"], options].concat()).exits(1).json();
        let manifest = format!("12345.db.stage/{}/manifest.json", run["run_id"].as_str().expect("an id"));
        let text = std::fs::read_to_string(home.database().with_file_name(manifest)).expect("a manifest");
        let manifest: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&manifest["format"], manifest.get("property_rules").is_some()), (&json!(format), format == 3));
    }
}
