//! Tests of the stored accounts.

use super::*;

fn account(name: &str) -> NewAccount {
    let text = |text: &str| text.to_owned();
    NewAccount {
        name: text(name),
        username: text("user"),
        secret: Secret::new(SECRET),
        project_id: text("1"),
        region: text("eu"),
    }
}

#[test]
fn accounts_are_added_listed_chosen_and_removed() {
    let home = Home::new("");
    let store = home.store();
    assert_eq!(store.list().expect("no accounts"), []);
    assert_eq!(store.get(None).expect_err("none").code, CONFIG_ERROR);
    assert_eq!(store.remove("a").expect_err("none").code, ACCOUNT_NOT_FOUND);
    assert!(!home.path(".mp").exists(), "a failed change creates nothing");

    let added = store.add(account("a")).expect("an account");
    let expected = json!({ "name": "a", "username": "user", "project_id": "1", "region": "eu", "is_default": true });
    assert_eq!(serde_json::to_value(&added).expect("JSON"), expected);
    assert!(!store.add(account("b")).expect("an account").is_default);
    let mode = std::fs::metadata(home.path(".mp/accounts.toml")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let error = store.add(account("a")).expect_err("it exists");
    assert_eq!((error.code, *error.details), (ACCOUNT_EXISTS, json!({ "account_name": "a" })));
    store.set_default("b").expect("a default");
    assert_eq!(store.get(None).expect("the default").name, "b");
    let session = home.open(unchanged, json!({})).expect("a session");
    assert_eq!(session.account(), Some("b"));

    store.remove("b").expect("removed");
    assert_eq!(store.list().expect("one"), [added]);
    let error = store.set_default("b").expect_err("removed");
    assert_eq!(*error.details, json!({ "account_name": "b", "available_accounts": ["a"] }));
    let text = std::fs::read_to_string(store.path().expect("a path")).expect("the file");
    assert!(text.contains(SECRET) && text.contains("default = \"a\""), "{text}");
}

#[test]
fn the_values_of_a_new_account_are_checked() {
    let home = Home::new("");
    let wrong = [
        ("the account name is empty", NewAccount { name: String::new(), ..account("a") }),
        ("the user name is empty", NewAccount { username: String::new(), ..account("a") }),
        ("the secret contains only whitespace", NewAccount { secret: Secret::new(" "), ..account("a") }),
        ("is not a project id", NewAccount { project_id: "x".to_owned(), ..account("a") }),
        ("use us, eu or in", NewAccount { region: "mars".to_owned(), ..account("a") }),
    ];
    for (message, account) in wrong {
        let error = home.store().add(account).expect_err(message);
        assert!(error.code == INVALID_INPUT && error.message.contains(message), "{message}: {error:?}");
    }
    assert!(!home.path(".mp").exists());
}

#[test]
fn another_file_can_be_chosen_for_the_accounts() {
    let home = Home::new(ACCOUNTS);
    let store = AccountStore::open_in(home.environment(unchanged), Some("~/other.toml".into())).expect("the accounts");
    store.add(account("a")).expect("an account");
    assert_eq!(store.path().expect("a path"), home.path("other.toml"));
    assert_eq!(home.store().list().expect("the others").len(), 2);
}
