mod accounts;

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};

use mixpanel_data::NetworkVariables;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const SECRET: &str = "s3cret-of-the-account";

const ACCOUNTS: &str = r#"
default = "two"

[accounts.one]
username = "user.one"
secret = "s3cret-of-the-account"
project_id = "111"
region = "us"

[accounts.two]
username = "user.two"
secret = "s3cret-of-the-account"
project_id = "222"
region = "eu"
"#;

/// A home directory, with this config file if it is not empty.
struct Home(TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        if !config.is_empty() {
            home.write(".mp/accounts.toml", config);
        }
        home
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let directory = path.parent().expect("a parent");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("permissions");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn environment(&self, change: impl FnOnce(&mut Environment)) -> Environment {
        let mut environment = Environment::default();
        environment.home = Some(self.0.path().to_owned());
        change(&mut environment);
        environment
    }

    fn open(&self, change: impl FnOnce(&mut Environment), choice: Value) -> Result<Session, SessionError> {
        let choice = serde_json::from_value(choice).expect("a choice");
        let opened = open_in(self.environment(change), choice);
        let shown = format!("{opened:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        opened
    }

    fn store(&self) -> AccountStore {
        AccountStore::open_in(self.environment(|_| ()), None).expect("the accounts")
    }
}

fn unchanged(_: &mut Environment) {}

fn complete(environment: &mut Environment) {
    environment.username = Some("user.env".to_owned());
    environment.secret = Some(Secret::new(SECRET));
    environment.project_id = Some("333".to_owned());
}

/// An environment, a choice, and the expected account, project, region and database.
type Case = (&'static str, fn(&mut Environment), Value, [&'static str; 4]);

#[test]
fn credentials_and_the_database_are_those_of_the_command() {
    let home = Home::new(ACCOUNTS);
    home.write("other.toml", &ACCOUNTS.replace("222", "555"));
    let cases: [Case; 17] = [
        ("the default account", unchanged, json!({}), ["two", "222", "eu", ".mp/data/222.db"]),
        ("a named account", unchanged, json!({ "account": "one" }), ["one", "111", "us", ".mp/data/111.db"]),
        ("MP_ACCOUNT", |e| e.account = Some("one".into()), json!({}), ["one", "111", "us", ".mp/data/111.db"]),
        (
            "a named account and MP_ACCOUNT",
            |e| e.account = Some("one".into()),
            json!({ "account": "two" }),
            ["two", "222", "eu", ".mp/data/222.db"],
        ),
        ("the environment", complete, json!({}), ["", "333", "us", ".mp/data/333.db"]),
        (
            "MP_REGION",
            |e| {
                complete(e);
                e.region = Some("EU".into());
            },
            json!({}),
            ["", "333", "eu", ".mp/data/333.db"],
        ),
        (
            "an account before the environment",
            complete,
            json!({ "account": "one" }),
            ["one", "111", "us", ".mp/data/111.db"],
        ),
        (
            "MP_PROJECT_ID alone",
            |e| e.project_id = Some("999".into()),
            json!({}),
            ["two", "999", "eu", ".mp/data/999.db"],
        ),
        ("another project", unchanged, json!({ "project_id": "444" }), ["two", "444", "eu", ".mp/data/444.db"]),
        (
            "another project of the environment",
            complete,
            json!({ "project_id": "444" }),
            ["", "444", "us", ".mp/data/444.db"],
        ),
        ("another region", unchanged, json!({ "region": "In" }), ["two", "222", "in", ".mp/data/222.db"]),
        ("MP_DB", |e| e.db = Some("~/m.db".into()), json!({}), ["two", "222", "eu", "m.db"]),
        (
            "a path and MP_DB",
            |e| e.db = Some("~/m.db".into()),
            json!({ "path": "~/x.db" }),
            ["two", "222", "eu", "x.db"],
        ),
        (
            "MP_CONFIG_PATH",
            |e| e.config_path = Some("~/other.toml".into()),
            json!({}),
            ["two", "555", "eu", ".mp/data/555.db"],
        ),
        (
            "no account but a path",
            |e| e.config_path = Some("~/none.toml".into()),
            json!({ "path": "~/x.db" }),
            ["", "", "", "x.db"],
        ),
        ("offline", complete, json!({ "path": "~/x.db", "offline": true }), ["", "", "", "x.db"]),
        ("offline without a path", unchanged, json!({ "offline": true }), ["", "", "", ".mp/data/222.db"]),
    ];
    for (name, change, choice, [account, project, region, path]) in cases {
        let session = home.open(change, choice).expect(name);
        let found = [session.account(), session.project_id(), session.region()].map(Option::unwrap_or_default);
        assert_eq!(found, [account, project, region], "{name}");
        assert_eq!(session.path(), home.path(path), "{name}");
        assert_eq!(session.check_credentials().is_ok(), !project.is_empty(), "{name}");
    }
}

/// An environment, a choice, and the expected code and message.
type WrongCase = (fn(&mut Environment), Value, &'static str, &'static str);

#[test]
fn errors_have_the_codes_that_callers_distinguish() {
    let home = Home::new(ACCOUNTS);
    let cases: [WrongCase; 13] = [
        (unchanged, json!({ "account": "three" }), ACCOUNT_NOT_FOUND, "there is no account `three`"),
        (unchanged, json!({ "account": "three", "path": "~/x.db" }), ACCOUNT_NOT_FOUND, "there is no account `three`"),
        (|e| e.account = Some("three".into()), json!({}), ACCOUNT_NOT_FOUND, "there is no account `three`"),
        (|e| e.username = Some("user".into()), json!({}), CONFIG_ERROR, "the environment sets MP_USERNAME but not"),
        (unchanged, json!({ "region": "mars" }), INVALID_INPUT, "use us, eu or in"),
        (unchanged, json!({ "project_id": "p" }), INVALID_INPUT, "is not a project id"),
        (unchanged, json!({ "path": "" }), INVALID_INPUT, "the path of the database is empty"),
        (unchanged, json!({ "path": "~me/x.db" }), INVALID_INPUT, "which only a shell expands"),
        (unchanged, json!({ "base_url": "http://example.org" }), INVALID_INPUT, "cannot use `base_url`"),
        (|e| e.base_url = Some("http://example.org".into()), json!({}), CONFIG_ERROR, "`base_url` (or MP_BASE_URL)"),
        (|e| e.project_id = Some("p".into()), json!({}), CONFIG_ERROR, "cannot use MP_PROJECT_ID"),
        (|e| e.config_path = Some("~me/x.toml".into()), json!({}), CONFIG_ERROR, "which only a shell expands"),
        (|e| e.home = None, json!({}), CONFIG_ERROR, "the home directory is unknown"),
    ];
    for (change, choice, code, message) in cases {
        let error = home.open(change, choice.clone()).expect_err(message);
        assert_eq!(error.code, code, "{choice} {error:?}");
        assert!(error.message.contains(message), "{choice} {error:?}");
        let expected = match code {
            ACCOUNT_NOT_FOUND => json!({ "account_name": "three", "available_accounts": ["one", "two"] }),
            _ => json!({}),
        };
        assert_eq!(*error.details, expected, "{choice}");
        let words = format!("{} {:?}", error.message, error.hint);
        assert!(!words.contains("`--"), "it names options instead of arguments: {words}");
    }
}

#[test]
fn a_broken_config_file_is_an_error_even_for_a_database_alone() {
    let home = Home::new(&format!("{ACCOUNTS}\nsecret = \"{SECRET}"));
    for choice in [json!({}), json!({ "path": "~/x.db" }), json!({ "path": "~/x.db", "offline": true })] {
        let error = home.open(unchanged, choice).expect_err("a broken file");
        assert_eq!(error.code, CONFIG_ERROR);
        assert!(error.message.contains("invalid config file") && error.message.contains("line 16"), "{error:?}");
    }
}

#[test]
fn a_database_can_be_opened_before_there_are_credentials() {
    let home = Home::new("");
    let error = home.open(unchanged, json!({})).expect_err("nothing to open");
    assert_eq!((error.code, error.message.as_str()), (CONFIG_ERROR, "no credentials found"));
    assert!(error.hint.is_some_and(|hint| hint.contains("`mp auth add`") && hint.contains("`path`")));
    let error = home.open(unchanged, json!({ "project_id": "7" })).expect_err("no such database");
    assert_eq!(error.message, "no credentials found");

    home.write(".mp/data/7.db", "");
    let session = home.open(unchanged, json!({})).expect("the only database");
    assert_eq!(session.path(), home.path(".mp/data/7.db"));
    assert!(session.notes()[0].contains("using the only database"), "{:?}", session.notes());
    assert_eq!(session.check_credentials().expect_err("none").message, "no credentials found");

    let unknown = |environment: &mut Environment| environment.account = Some("three".into());
    let session = home.open(unknown, json!({ "path": "~/x.db" })).expect("a database");
    assert_eq!(session.check_credentials().expect_err("no such account").code, ACCOUNT_NOT_FOUND);
    let session = home.open(unchanged, json!({ "path": "~/x.db", "offline": true })).expect("a database");
    assert_eq!(session.check_credentials().expect_err("offline").code, CONFIG_ERROR);
}

#[test]
fn notes_and_warnings_are_collected() {
    let home = Home::new(ACCOUNTS);
    let to_server = |environment: &mut Environment| {
        complete(environment);
        environment.base_url = Some("http://127.0.0.1:9".to_owned());
    };
    std::fs::set_permissions(home.path(".mp/accounts.toml"), PermissionsExt::from_mode(0o644)).expect("permissions");
    let session = home.open(to_server, json!({ "account": "one" })).expect("a session");
    assert_eq!(session.base_url(), Some("http://127.0.0.1:9"));
    let notes = session.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(notes[0], "using account `one`; MP_USERNAME and related variables are ignored");
    assert_eq!(notes[1], "requests go to http://127.0.0.1:9, not to Mixpanel");
    let warnings = session.warnings();
    assert!(warnings.len() == 1 && warnings[0].starts_with("other users can read"), "{warnings:?}");
    let chosen = home.open(to_server, json!({ "base_url": "http://127.0.0.1:8" })).expect("a session");
    assert_eq!(chosen.base_url(), Some("http://127.0.0.1:8"));
}

#[test]
fn the_proxy_settings_of_the_environment_are_used() {
    let home = Home::new(ACCOUNTS);
    let behind_proxy = |environment: &mut Environment| {
        environment.network = NetworkVariables::collect(|name| (name == "HTTPS_PROXY").then(|| "no proxy".into()));
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let session = home.open(behind_proxy, json!({})).expect("a session");
    let error = session.workspace().client().expect_err("an invalid proxy");
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
}

#[test]
fn the_defaults_of_the_config_file_apply() {
    let defaults = "[defaults]\ndb = \"~/d.db\"\nmemory = \"1GB\"\ndrop = [\"$phone\"]\nhash = [\"$email\", \"ip\"]\n";
    let home = Home::new(&format!("{ACCOUNTS}\n{defaults}"));
    let session = home.open(unchanged, json!({})).expect("a session");
    assert_eq!((session.path(), session.memory()), (home.path("d.db").as_path(), Some(1_000_000_000)));
    assert_eq!(session.check_raw().expect_err("rules").code, CONFIG_ERROR);

    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let rules = |session: &Session, key: Option<&str>| {
        session.property_rules(names(&["a", "ip"]), names(&["b"]), key.map(Secret::new))
    };
    let error = rules(&session, None).expect_err("no key");
    assert_eq!(
        (error.code, error.message.as_str()),
        (CONFIG_ERROR, "hashing properties needs a key, and there is none")
    );
    assert_eq!(rules(&session, Some("short")).expect_err("too short").code, INVALID_INPUT);
    let found = rules(&session, Some("a key that is long enough")).expect("rules");
    assert_eq!((found.drop, found.hash), (names(&["a", "ip", "$phone"]), names(&["b", "$email"])));
    assert!(found.key.is_some());

    let with_key =
        |environment: &mut Environment| environment.hash_key = Some(Secret::new("a key that is long enough"));
    let session = home.open(with_key, json!({})).expect("a session");
    assert!(rules(&session, None).expect("rules").key.is_some());

    let session = Home::new(ACCOUNTS).open(unchanged, json!({})).expect("a session");
    let found = session.property_rules(names(&["a"]), Vec::new(), None).expect("rules");
    assert!(found.drop == ["a"] && found.hash.is_empty() && found.key.is_none());
    assert!(session.check_raw().is_ok() && session.memory().is_none());
}

#[test]
fn a_choice_has_no_unknown_fields_and_a_session_can_be_shared() {
    fn can_be_shared<T: Send + Sync>() {}
    can_be_shared::<Session>();
    can_be_shared::<AccountStore>();
    assert!(serde_json::from_value::<Choice>(json!({ "acount": "one" })).is_err());
    assert!(serde_json::from_value::<Choice>(json!({ "account": null, "path": "x.db" })).is_ok());
}

#[test]
fn a_service_account_that_is_given_replaces_every_other_one() {
    let home = Home::new(ACCOUNTS);
    let environment = |environment: &mut Environment| {
        complete(environment);
        environment.account = Some("one".to_owned());
        environment.region = Some("in".to_owned());
    };
    let given = json!({ "username": "user.given", "secret": SECRET, "project_id": "777" });
    let with = |name: &str, value: Value| {
        let mut choice = given.clone();
        choice[name] = value;
        choice
    };
    for (choice, region) in [(given.clone(), "us"), (with("region", json!("EU")), "eu")] {
        for change in [unchanged, environment] {
            let session = home.open(change, choice.clone()).expect("a session");
            let credentials = session.credentials().expect("credentials");
            assert!(credentials.username == "user.given" && credentials.secret.expose() == SECRET);
            assert_eq!((session.account(), session.project_id(), session.region()), (None, Some("777"), Some(region)));
            assert!(session.notes().is_empty() && session.path() == home.path(".mp/data/777.db"));
        }
    }
    let wrong = [
        ("secret", json!(null), "both"),
        ("secret", json!(""), "the secret is empty"),
        ("username", json!(null), "both"),
        ("username", json!("a:b"), "user name"),
        ("project_id", json!(null), "project"),
        ("account", json!("one"), "either"),
        ("region", json!("mars"), "mars"),
    ];
    for (name, value, expected) in wrong {
        let error = home.open(environment, with(name, value)).expect_err(name);
        assert!(error.code == INVALID_INPUT && error.message.contains(expected), "{name}: {error:?}");
    }
}
