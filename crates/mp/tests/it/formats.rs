//! The output formats, with the output of `mp auth`. For rows, see `query`.

use crate::support::{CANARY, Home};

fn home() -> Home {
    let home = Home::new();
    let account = |name: &str, username: &str| {
        format!(
            "[accounts.\"{name}\"]\nusername = \"{username}\"\nsecret = \"{CANARY}\"\nproject_id = \"1\"\nregion = \"us\"\n"
        )
    };
    home.write_config(&format!("{}{}", account("prod", "a, \\\"b\\\""), account("größe", "x")));
    home
}

#[test]
fn lists() {
    let list = |format: &str| home().run(&["auth", "list", "--format", format]).exits(0).stdout;
    insta::assert_snapshot!(list("json"), @r#"
    [
      {
        "name": "prod",
        "username": "a, \"b\"",
        "project_id": "1",
        "region": "us",
        "is_default": true
      },
      {
        "name": "größe",
        "username": "x",
        "project_id": "1",
        "region": "us",
        "is_default": false
      }
    ]
    "#);
    insta::assert_snapshot!(list("jsonl"), @r#"
    {"name":"prod","username":"a, \"b\"","project_id":"1","region":"us","is_default":true}
    {"name":"größe","username":"x","project_id":"1","region":"us","is_default":false}
    "#);
    insta::assert_snapshot!(list("csv"), @r#"
    name,username,project_id,region,is_default
    prod,"a, ""b""",1,us,true
    größe,x,1,us,false
    "#);
    insta::assert_snapshot!(list("plain"), @r"
    prod
    größe
    ");
    insta::assert_snapshot!(list("table"), @r#"
    ┌───────┬──────────┬────────────┬────────┬────────────┐
    │ NAME  ┆ USERNAME ┆ PROJECT ID ┆ REGION ┆ IS DEFAULT │
    ╞═══════╪══════════╪════════════╪════════╪════════════╡
    │ prod  ┆ a, "b"   ┆ 1          ┆ us     ┆ Yes        │
    │ größe ┆ x        ┆ 1          ┆ us     ┆ No         │
    └───────┴──────────┴────────────┴────────┴────────────┘
    "#);
}

#[test]
fn empty_lists() {
    let list = |format: &str| Home::new().run(&["auth", "list", "--format", format]).exits(0).stdout;
    assert_eq!(list("json"), "[]\n");
    assert_eq!(list("jsonl"), "");
    assert_eq!(list("plain"), "");
    assert_eq!(list("csv"), "name,username,project_id,region,is_default\n");
    assert!(list("table").contains("IS DEFAULT"));
}

#[test]
fn lone_results() {
    let switch = |format: &str| home().run(&["auth", "switch", "prod", "--format", format]).exits(0).stdout;
    assert_eq!(switch("json"), "{\n  \"default\": \"prod\"\n}\n");
    assert_eq!(switch("jsonl"), "{\"default\":\"prod\"}\n");
    assert_eq!(switch("csv"), "default\nprod\n");
    assert_eq!(switch("plain"), "default=prod\n");
    let show = home().run(&["auth", "show", "prod", "-f", "table"]).exits(0).stdout;
    insta::assert_snapshot!(show, @r#"
    ┌────────────┬──────────┐
    │ FIELD      ┆ VALUE    │
    ╞════════════╪══════════╡
    │ name       ┆ prod     │
    │ username   ┆ a, "b"   │
    │ secret     ┆ ******** │
    │ project_id ┆ 1        │
    │ region     ┆ us       │
    │ is_default ┆ Yes      │
    └────────────┴──────────┘
    "#);
    assert_eq!(home().run(&["auth", "show", "prod", "-f", "plain"]).exits(0).stdout, "prod\n");
}
