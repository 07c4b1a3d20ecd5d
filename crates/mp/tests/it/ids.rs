//! `--distinct-ids` with lists, files and standard input.

use crate::snapshot::assert_run;
use crate::stream::serving;
use crate::support::{Home, Simulator};

fn simulator() -> Simulator {
    let ids = ["a", "b", "c d", "a,b", "@x", "-", "ü"];
    let record = |id: &&str| format!(r#"{{"$distinct_id":"{id}","$properties":{{}}}}"#);
    serving(&ids.iter().map(record).collect::<Vec<_>>().join("\n"))
}

/// Returns the ids of the last request.
fn requested(simulator: &Simulator) -> String {
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    request.params.get("distinct_ids").cloned().unwrap_or_default()
}

#[test]
fn ids_are_listed_in_a_file_or_piped() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    let write = |name: &str, bytes: &[u8]| std::fs::write(home.path().join(name), bytes).expect("a file");
    write("ids.txt", b"\xef\xbb\xbfa\r\n\r\nc d\r\na\r\n");
    write("odd.txt", "a,b\n@x\n-\nü".as_bytes());
    for (values, input, expected) in [
        (&["a,b"][..], "", r#"["a","b"]"#),
        (&["a, b ,,a"], "", r#"["a","b"]"#),
        (&["a", "b,a"], "", r#"["a","b"]"#),
        (&["\"a,b\",c d"], "", r#"["a,b","c d"]"#),
        (&["\"@x\",\"-\""], "", r#"["@x","-"]"#),
        (&["\"-\""], "", r#"["-"]"#),
        (&["@ids.txt"], "", r#"["a","c d"]"#),
        (&["@~/ids.txt", "b"], "", r#"["a","c d","b"]"#),
        (&["@odd.txt"], "", r#"["a,b","@x","-","ü"]"#),
        (&["-"], "b\n\na\n", r#"["b","a"]"#),
        (&["a", "-"], "a\nb", r#"["a","b"]"#),
    ] {
        let mut arguments = vec!["fetch", "profiles", "--stdout", "-q"];
        values.iter().for_each(|value| arguments.extend(["--distinct-ids", *value]));
        let run = home.run_with_input(&arguments, input).exits(0);
        assert_eq!(requested(&simulator), expected, "{values:?}");
        assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (expected.matches("\"").count() / 2, ""));
    }
}

#[test]
fn wrong_lists_of_ids_are_rejected_before_any_request() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    let write = |name: &str, bytes: &[u8]| std::fs::write(home.path().join(name), bytes).expect("a file");
    write("empty.txt", b"\n \n");
    write("utf16.txt", b"\xff\xfea\x00\n\x00");
    write("latin1.txt", b"a\nb\n\xfc\n");
    let many: String = (0..20_001).map(|id| format!("{id}\n")).collect();
    write("many.txt", many.as_bytes());
    std::fs::create_dir(home.path().join("directory")).expect("a directory");
    for (case, value, code) in [
        ("missing", "@missing.txt", 4),
        ("directory", "@directory", 1),
        ("empty file", "@empty.txt", 3),
        ("UTF-16", "@utf16.txt", 3),
        ("Latin 1", "@latin1.txt", 3),
        ("many", "@many.txt", 3),
        ("no name", "@", 3),
        ("empty input", "-", 3),
        ("nothing", "", 3),
        ("a comma", ",", 3),
        ("an open quote", "\"a", 3),
    ] {
        let run = home.run_with_input(&["fetch", "profiles", "--distinct-ids", value], "").exits(code);
        assert_run!(run.prints_nothing(), case);
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a_run_with_ids_is_resumed_without_the_file() {
    let ids: String = (0..150).map(|id| format!("u{id}\n")).collect();
    let records: Vec<String> = (0..150).map(|id| format!(r#"{{"$distinct_id":"u{id}","$properties":{{}}}}"#)).collect();
    let records = mixpanel_simulator::Records::read(records.join("\n").as_bytes()).expect("records");
    let config = mixpanel_simulator::SimulatorConfig {
        profiles: mixpanel_simulator::ProfileSource::Records(records.into()),
        page_size: 100,
        faults: vec!["pages=1 status=404 times=1".parse().expect("a fault")],
        ..mixpanel_simulator::SimulatorConfig::default()
    };
    let simulator = Simulator::start(config);
    let home = Home::new().with_server(&simulator);
    let file = home.path().join("ids.txt");
    std::fs::write(&file, ids).expect("a file");
    let run = home.run(&["fetch", "profiles", "users", "-q", "--distinct-ids", "@ids.txt"]).exits(1);
    assert!(!run.stderr.contains("u1"), "{}", run.stderr);
    // The same ids can be given again.
    let options = ["fetch", "resume", "users", "-q", "--accept-partial", "--distinct-ids", "@ids.txt"];
    home.run(&options).exits(1);
    std::fs::remove_file(file).expect("a file");
    home.shell(&run.resume_command()).exits(0);
    let count = ["query", "sql", "-s", "-f", "plain", "select count(*) from users"];
    assert_eq!(home.run(&count).exits(0).stdout, "150\n");
}
