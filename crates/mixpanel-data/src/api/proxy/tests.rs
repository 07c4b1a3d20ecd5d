use std::ffi::OsString;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

fn resolve(set: &[(&str, &str)]) -> Result<Option<Proxy>> {
    let value_of = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(*value));
    Proxy::resolve(&NetworkVariables::collect(value_of), "eu.mixpanel.com")
}

fn name_of(set: &[(&str, &str)]) -> Option<String> {
    resolve(set).unwrap().map(|proxy| proxy.name())
}

#[test]
fn the_usual_forms_name_a_proxy() {
    for (value, expected) in [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("HTTP://Proxy.Example:3128/", "proxy.example:3128"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("proxy", "proxy:80"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("https://proxy.example", "proxy.example:443"),
        ("socks5://127.0.0.1", "127.0.0.1:1080"),
        ("socks5h://user:pass@proxy_1:9050", "proxy_1:9050"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("http://user@proxy:1", "proxy:1"),
        ("http://us%40er:p%3Aa%2Fss%25@proxy:65535", "proxy:65535"),
        ("http://user:p:a+s=s@proxy:1", "proxy:1"),
    ] {
        assert_eq!(name_of(&[("HTTPS_PROXY", value)]).as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn unusable_proxy_values_are_refused_without_being_shown() {
    let values = [
        " ",
        "http://Canary:1 ",
        " http://Canary:1",
        "http://Canary:1\r",
        "http://Canary:1\n",
        "http://Can\tary:1",
        "http://Canary:1\u{a0}",
        "http://Canary:1\u{7f}",
        "\"http://Canary:1\"",
        "'http://Canary:1'",
        "`Canary`",
        "ftp://Canary:1",
        "socks4://Canary:1",
        "socks4a://Canary",
        "socks://Canary",
        "htp://Canary:1",
        "://Canary:1",
        "http:/Canary:1",
        "http:Canary:1",
        "http:///Canary:1",
        "//Canary:1",
        "http://",
        "https://",
        "http://:3128",
        "http://@:1",
        "http://user@",
        "http://Canary:0",
        "http://Canary:65536",
        "http://Canary:99999999999",
        "http://Canary:",
        "http://Canary:3128x",
        "http://Canary:-1",
        "http://Canary:+80",
        "http://Canary:1:2",
        "http://[]:1",
        "http://[Canary]:1",
        "http://[::1:1",
        "http://::1]:1",
        "http://[::1]1",
        "http://[fe80::1%25e]:1",
        "http://user:p@ss@Canary:1",
        "http://user:p/ss@Canary:1",
        "http://user:p#ss@Canary:1",
        "http://user:p?s@Canary:1",
        "http://user:p\\ss@Canary:1",
        "http://user:p%zz@Canary:1",
        "http://user:p%4@Canary:1",
        "http://user:pä@Canary:1",
        "http://user:p%ff@Canary:1",
        "http://user:p%0d%0aX@Canary:1",
        "http://user:p[ss@Canary:1",
        "http://us er@Canary:1",
        "http://us<er>@Canary:1",
        "http://us^er@Canary:1",
        "http://us|er@Canary:1",
        "http://us{er}@Canary:1",
        "http://Canary:1/path",
        "http://Canary:1?x",
        "http://Canary:1#x",
        "http://Canary:1//",
        "http://Canäry:1",
        "http://Can*ary:1",
        "http://Can%61ry:1",
        "http://Canary,other:1",
        "http://a:1,http://Canary:2",
        "http://999.1.1.1:1",
        "http://.Canary:1",
        "http://..:1",
        "http://-Canary:1",
        "${Canary}",
        "$Canary:1",
        "http://http://Canary:1",
        "http;//Canary:1",
    ];
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        for value in values {
            let Err(error) = resolve(&[(variable, value)]) else { panic!("{variable}={value:?} is used") };
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{value:?}");
            assert!(error.message().contains(variable), "{error}");
            assert!(!format!("{error:?}").to_ascii_lowercase().contains("canary"), "{error:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn non_utf8_proxy_variables_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    for broken in ["https_proxy", "ALL_PROXY", "NO_PROXY"] {
        let value_of = |name: &str| match name {
            _ if name == broken => Some(OsString::from_vec(b"http://pro\xffxy:1".to_vec())),
            "HTTPS_PROXY" if broken == "NO_PROXY" => Some("http://proxy:1".into()),
            _ => None,
        };
        let error = Proxy::resolve(&NetworkVariables::collect(value_of), "mixpanel.com").err().unwrap();
        assert!(error.message().contains(broken) && error.message().contains("UTF-8"), "{error}");
    }
}

#[test]
fn the_variables_have_an_order_and_may_not_contradict_each_other() {
    let (one, two) = ("http://one:1", "http://two:2");
    assert_eq!(name_of(&[]), None);
    assert_eq!(name_of(&[("HTTPS_PROXY", "")]), None);
    assert_eq!(name_of(&[("HTTPS_PROXY", one), ("ALL_PROXY", two)]).as_deref(), Some("one:1"));
    assert_eq!(name_of(&[("HTTPS_PROXY", ""), ("ALL_PROXY", two)]).as_deref(), Some("two:2"));
    assert_eq!(name_of(&[("HTTPS_PROXY", ""), ("https_proxy", two)]).as_deref(), Some("two:2"));
    assert_eq!(name_of(&[("HTTPS_PROXY", one), ("https_proxy", one)]).as_deref(), Some("one:1"));
    let error = resolve(&[("HTTPS_PROXY", one), ("https_proxy", two)]).err().unwrap();
    assert!(error.message().contains("HTTPS_PROXY") && error.message().contains("https_proxy"), "{error}");
    assert!(resolve(&[("ALL_PROXY", one), ("all_proxy", two)]).is_err());
}

#[test]
fn no_proxy_excludes_as_curl_does() {
    for (list, excluded) in [
        ("*", true),
        ("mixpanel.com", true),
        (".mixpanel.com", true),
        ("MIXPANEL.com\r", true),
        ("localhost, eu.mixpanel.com", true),
        ("us.mixpanel.com", false),
        ("panel.com", false),
        ("localhost,127.0.0.1,10.0.0.0/8", false),
        ("", false),
        (".", false),
    ] {
        for name in ["NO_PROXY", "no_proxy"] {
            assert_eq!(name_of(&[("HTTPS_PROXY", "http://p:1"), (name, list)]).is_none(), excluded, "{name}={list:?}");
        }
    }
    let both = |one, two| resolve(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", one), ("no_proxy", two)]);
    assert!(both("localhost", "localhost,127.0.0.1").unwrap().is_some());
    assert!(both("localhost", "mixpanel.com").err().unwrap().message().contains("no_proxy"));
    // Without a proxy, contradictory values have no effect.
    assert!(resolve(&[("NO_PROXY", "a"), ("no_proxy", "mixpanel.com")]).unwrap().is_none());
}

proptest! {
    /// Any setting is either used or rejected, never treated as no proxy.
    #[test]
    fn a_setting_is_never_ignored(value in "\\PC{1,40}|(https?|socks5h?|[a-z]{0,6})(://|:/|//|:)[ -~]{0,30}") {
        match resolve(&[("HTTPS_PROXY", &value)]) {
            Ok(proxy) => {
                let proxy = proxy.expect("it is used");
                prop_assert!(proxy.for_client().is_ok());
            }
            Err(error) => prop_assert!(error.message().contains("HTTPS_PROXY")),
        }
    }
}
