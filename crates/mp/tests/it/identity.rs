//! Which credentials are used.

use crate::support::Home;

#[test]
fn missing_credentials_hint_at_auth_add() {
    let run = Home::new().run(&["fetch", "profiles"]).exits(4).prints_nothing();
    insta::assert_snapshot!(run.stderr, @r"
    error: no credentials found
    hint: add an account with `mp auth add`, or set MP_USERNAME, MP_SECRET and MP_PROJECT_ID
    ");
}
