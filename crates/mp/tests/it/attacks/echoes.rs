//! A2: a server that echoes the request, in many encodings and places; and secrets given in place of other settings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::tools::{Recorder, reply};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, USERNAME};

/// Returns the secret in various encodings, one of each family.
fn echoes() -> Vec<(&'static str, String)> {
    let basic = STANDARD.encode(format!("{USERNAME}:{CANARY}"));
    let each = |write: fn(u8) -> String| CANARY.bytes().map(write).collect::<String>();
    let wide: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bits = each(|byte| format!("{byte:08b}"));
    let of_bits = |alphabet: &str, width: usize| -> String {
        let digit = |part: &[u8]| usize::from_str_radix(std::str::from_utf8(part).expect("ASCII"), 2).expect("bits");
        bits.as_bytes().chunks_exact(width).map(|part| char::from(alphabet.as_bytes()[digit(part)])).collect()
    };
    let letter = |byte: u8, by: u8| match byte {
        b'a'..=b'z' => char::from((byte - b'a' + by) % 26 + b'a'),
        b'A'..=b'Z' => char::from((byte - b'A' + by) % 26 + b'A'),
        byte => char::from(byte),
    };
    vec![
        ("base64", basic),
        ("base64url", URL_SAFE_NO_PAD.encode(CANARY)),
        ("base64 of UTF-16", STANDARD.encode(wide)),
        ("base32", of_bits("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5)),
        ("hex", of_bits("0123456789abcdef", 4)),
        ("another base64", of_bits("./0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 6)),
        ("full width", CANARY.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).expect("a character")).collect()),
        ("U+", each(|byte| format!("U+{byte:04X} "))),
        ("numbers", each(|byte| format!("{byte} "))),
        ("bits", each(|byte| format!("{byte:08b} "))),
        ("rot13", CANARY.bytes().map(|byte| letter(byte, 13)).collect()),
        ("rot5", CANARY.bytes().map(|byte| letter(byte, 5)).collect()),
        ("backwards", CANARY.chars().rev().collect()),
        ("backwards in base64", STANDARD.encode(CANARY.chars().rev().collect::<String>())),
        ("with dashes", each(|byte| format!("{}-", char::from(byte)))),
        ("without its end", CANARY[..CANARY.len() - 1].to_owned()),
        ("its end", CANARY[10..].to_owned()),
        ("names of html", CANARY.replace('/', "&sol;").replace('+', "&plus;").replace('&', "&amp;")),
        ("with tags", each(|byte| format!("<b>{}</b>", char::from(byte)))),
    ]
}

/// Returns responses that contain a text, each in a different position.
fn replies(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let json = serde_json::Value::from(text).to_string();
    let ascii: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    let host: String = ascii.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let page = |members: &str| format!("{{\"page\":0,\"session_id\":\"s\",\"total\":1,{members}}}");
    let challenge = format!("WWW-Authenticate: Basic realm=\"{}\"\r\n", ascii.replace('"', ""));
    vec![
        ("error", reply("400 Bad Request", "", &format!("{{\"error\":{json}}}"))),
        ("text", reply("403 Forbidden", "", text)),
        ("title", reply("404 Not Found", "", &format!("<html><title>Sorry: {text}</title></html>"))),
        ("nested", reply("422 X", "", &format!("{{\"message\":{{\"sent\":[{json}]}}}}"))),
        ("header and reason", reply(&format!("401 {ascii}"), &challenge, &format!("no access: {text}"))),
        ("host", reply("302 Found", &format!("Location: http://{host}.example.org/{host}?{host}\r\n"), "")),
        ("coding", reply("200 OK", &format!("Content-Encoding: {ascii}\r\n"), "[]")),
        ("error with 200", reply("200 OK", "", &page(&format!("\"results\":[],\"error\":{json}")))),
        ("status with 200", reply("200 OK", "", &page(&format!("\"results\":[],\"status\":{json}")))),
        ("type with 200", reply("200 OK", "", &page(&format!("\"results\":{json}")))),
        ("total with 200", reply("200 OK", "", &page(&format!("\"results\":[],\"total\":{json}")))),
        (
            "name",
            reply(
                "200 OK",
                "",
                &page(&format!("\"results\":[{{\"$distinct_id\":\"a\",\"$properties\":{{}},{json}:1}}]")),
            ),
        ),
    ]
}

fn home(server: &Recorder) -> Home {
    Home::new()
        .with("MP_BASE_URL", &server.base_url())
        .with("MP_USERNAME", USERNAME)
        .with("MP_SECRET", CANARY)
        .with("MP_PROJECT_ID", PROJECT)
        .with("MP_REGION", "us")
}

/// Returns whether ten characters of the echo or six of the secret are shown.
fn is_shown(echo: &str, shown: &str) -> bool {
    let lower = |text: &str| -> Vec<char> { text.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect() };
    let (echo, shown) = (lower(echo), lower(shown));
    let has = |part: &[char]| shown.windows(part.len()).any(|window| window == part);
    echo.windows(10).any(has) || lower(CANARY).windows(6).any(has)
}

#[test]
fn a02_no_encoding_of_an_echo_is_shown_wherever_it_stands() {
    let echoes = echoes();
    std::thread::scope(|scope| {
        for third in 0..3 {
            let echoes = &echoes;
            scope.spawn(move || {
                for (at, (name, echo)) in echoes.iter().enumerate() {
                    // Each encoding is tested in a third of the places, and each place with a third of the encodings.
                    for (place, reply) in replies(echo).into_iter().skip((at + third) % 9).step_by(9) {
                        let server = Recorder::start(&[reply]);
                        let arguments = ["fetch", "profiles", "--stdout", "-vv", "--max-wait", "50ms"];
                        let run = home(&server).run(&arguments);
                        assert!(!is_shown(echo, &run.stderr), "{name} as {place}: {}", run.stderr);
                        drop(server.end());
                    }
                }
            });
        }
    });
}

#[test]
fn a02_a_status_and_its_results_show_no_echo_either() {
    let basic = STANDARD.encode(format!("{USERNAME}:{CANARY}"));
    let server = Recorder::start(&[reply("404 Not Found", "", &format!("{{\"error\":\"nothing for {basic}\"}}"))]);
    let home = home(&server);
    for arguments in [
        &["fetch", "profiles", "-f", "json"][..],
        &["fetch", "status", "-f", "json"],
        &["fetch", "resume", "-f", "json"],
        &["auth", "test", "-f", "json"],
    ] {
        let run = home.run(arguments);
        assert!(!is_shown(&basic, &run.stderr) && !is_shown(&basic, &run.stdout), "{arguments:?}: {run:?}");
    }
    drop(server.end());
}

#[test]
fn a02_mixpanel_error_messages_are_shown() {
    for (status, code, error) in [
        ("400 Bad Request", 2, "Unable to authenticate request"),
        ("400 Bad Request", 3, "Cannot parse selector: unexpected `=` in properties[\"$city\"] = \"Paris\""),
        ("403 Forbidden", 2, "The service account does not have access to project 3900001"),
        ("404 Not Found", 3, "cohort 4711 does not exist, see https://docs.mixpanel.com/docs/users/cohorts"),
        ("402 Payment Required", 3, "request 7f9c2ba4-e88f-827d-6160-45507605853e: payment is required"),
    ] {
        let body = format!("{{\"error\":{}}}", serde_json::Value::from(error));
        let server = Recorder::start(&[reply(status, "", &body)]);
        assert_run!(home(&server).run(&["auth", "test"]).exits(code).says(&[error]).prints_nothing());
        drop(server.end());
    }
}

/// A secret in a URL is never shown, neither as part of a rejected URL nor as another part of it.
#[test]
fn a02_no_secret_in_a_base_url_is_shown() {
    let escaped = CANARY.replace('/', "%2F").replace('+', "%2B").replace('&', "%26");
    for url in [
        format!("http://{USERNAME}:{escaped}@127.0.0.1:9"),
        format!("http://{USERNAME}:{CANARY}@127.0.0.1:9"),
        format!("http://{CANARY}@127.0.0.1:9"),
        format!("http://CANARY#{CANARY}@127.0.0.1:9"),
        format!("http://127.0.0.1:9/?secret={escaped}"),
        format!("http://127.0.0.1:9/#{escaped}"),
    ] {
        let given = Home::new().with("MP_USERNAME", USERNAME).with("MP_SECRET", "x").with("MP_PROJECT_ID", PROJECT);
        let by_variable = given.with("MP_REGION", "us").with("MP_BASE_URL", &url);
        for run in [by_variable.run(&["auth", "test"]), by_variable.run(&["--base-url", &url, "fetch", "profiles"])] {
            // Omits the command, which contains the secret in other forms.
            let run = assert_run!(run.exits(3).of_any_command().prints_nothing(), "refused");
            assert!(!run.stderr.to_ascii_lowercase().contains("canary"), "{url}: {}", run.stderr);
        }
    }
}

#[test]
fn a02_a_secret_in_the_place_of_another_setting_is_not_shown() {
    for name in ["MP_PROJECT_ID", "MP_REGION"] {
        let home = Home::new()
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", "x")
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us")
            .with(name, CANARY);
        let run = assert_run!(home.run(&["auth", "test"]).exits(3).prints_nothing(), name);
        assert!(!run.stderr.contains("CANARY"), "{name}: {}", run.stderr);
    }
}

#[test]
fn a02_no_mistake_in_the_config_file_shows_a_secret() {
    let head = "[accounts.prod]\nusername = \"sa\"\nproject_id = \"1\"\nregion = \"us\"\n";
    let lines = [
        format!("secret = {CANARY}"),
        format!("secret = \"{CANARY}"),
        format!("secret = '{CANARY}\""),
        format!("secret = \"{CANARY}\" x"),
        format!("secret = \"{CANARY}\\q\""),
        format!("secret = [\"{CANARY}\""),
        format!("secret = {{ {CANARY} = 1 }}"),
        format!("secret \"{CANARY}\""),
        format!("secret: {CANARY}"),
        CANARY.to_owned(),
        format!("\"{CANARY}\" = 1\n\"{CANARY}\" = 2"),
        format!("secret = \"{CANARY}\"\nsecret = \"{CANARY}\""),
        format!("[accounts.prod]\nsecret = \"{CANARY}\""),
        format!("secret = \"{CANARY}\"\nregion = \"{CANARY}\""),
        format!("secret = [\"{CANARY}\"]"),
        format!("secret = \"{CANARY}\u{200b}\""),
        format!("secret = \"{CANARY}\u{7}\""),
    ];
    let commands = [&["auth", "show", "prod"][..], &["auth", "test"], &["auth", "list"]];
    for (line, arguments) in lines.iter().zip(commands.iter().cycle()) {
        let home = Home::new();
        home.write_config(&format!("{head}{line}\n"));
        let run = home.run(arguments);
        assert!(!run.stderr.contains("CANARY") && !run.stdout.contains("CANARY"), "{line}: {run:?}");
    }
}
