//! What keys may do, until when and from where.

use super::*;
use crate::limits::{Caps, Patience};

fn key(more: &str) -> String {
    format!("[[key]]\nname = \"k\"\nsecret = \"s\"\n{more}\n")
}

#[test]
fn rates_are_of_keys_and_of_all_together() {
    let caps = Caps { requests_per_minute: Some(60), tokens_per_minute: Some(9_000), max_in_flight: Some(3) };
    let rates = "requests_per_minute = 60\ntokens_per_minute = 9000\nmax_in_flight = 3";
    let config = read(&(key(rates) + "[limits]\n" + rates)).unwrap();
    assert_eq!((config.keys[0].caps, config.limits.caps, config.limits.patience), (caps, caps, None));
    let config = read(&key("")).unwrap();
    assert_eq!((config.keys[0].caps, config.limits), (Caps::default(), LimitsConfig::default()));
    says(
        &key("requests_per_minute = 0"),
        &["line 4: key[0].requests_per_minute: found 0, expected a whole number from 1 to 1000000"],
    );
    says(
        "[limits]\ntokens_per_minute = 0.5",
        &["line 2: limits.tokens_per_minute: found 0.5, expected a whole number from 1 to 1000000000000"],
    );
}

#[test]
fn waiting_is_asked_for() {
    let patience = |text: &str| read(&format!("[limits]\n{text}")).unwrap().limits.patience;
    assert_eq!(patience("wait = \"5s\""), Some(Patience { wait: Duration::from_secs(5), queue: 100 }));
    assert_eq!(patience("wait = 2\nqueue = 1"), Some(Patience { wait: Duration::from_secs(2), queue: 1 }));
    for none in ["wait = \"none\"", "wait = 0", "queue = 7"] {
        assert_eq!(patience(none), None);
    }
    says(
        "[limits]\nqueue = 0",
        &["line 2: limits.queue: found 0, expected a whole number from 1 to 1000000"],
    );
}

#[test]
fn a_day_is_good_to_its_end_and_a_moment_says_which() {
    let expires = |value: &str| read(&key(&format!("expires = {value}"))).unwrap().keys[0].expires_ms;
    let new_year = 1_798_761_600_000;
    for value in [
        "2026-12-31",
        "\"2026-12-31\"",
        "2027-01-01T00:00:00Z",
        "\"2027-01-01T00:00:00Z\"",
        "2027-01-01 02:00:00+02:00",
        "2026-12-31T16:30:00.000-07:30",
    ] {
        assert_eq!(expires(value), Some(new_year), "{value}");
    }
    assert_eq!(expires("2027-01-01T00:00:00.125Z"), Some(new_year + 125));
    assert_eq!(read(&key("")).unwrap().keys[0].expires_ms, None);
    let form =
        "expected a day such as 2027-01-31, which is its last, or a moment such as 2027-01-31T12:00:00Z";
    for (value, found) in [
        ("2027-01-01T00:00:00", "a date"),
        ("12:00:00", "a date"),
        ("\"soon\"", "\"soon\""),
        ("1798761600", "1798761600"),
    ] {
        let problem = format!("line 4: key[0].expires: found {found}, {form}");
        says(&key(&format!("expires = {value}")), &[&problem]);
    }
}

#[test]
fn networks_are_lists_of_addresses() {
    let config =
        read(&(key("networks = [\"10.0.0.1/8\", \"::1\"]") + "[proxies]\ntrusted = [\"192.0.2.7\"]"));
    let config = config.unwrap();
    assert_eq!(format!("{:?}", config.keys[0].networks), "Networks([10.0.0.0/8, ::1/128])");
    assert_eq!(format!("{:?}", config.proxies.trusted), "Networks([192.0.2.7/32])");
    let form = "expected an address or a network such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"";
    says(
        &(key("networks = [\"10.0.0.0/33\", 7]") + "[proxies]\ntrusted = \"10.0.0.1\""),
        &[
            &format!("line 4: key[0].networks[0]: found \"10.0.0.0/33\", {form}"),
            &format!("line 4: key[0].networks[1]: found 7, {form}"),
            "line 6: proxies.trusted: found a string, expected a list of networks such as [\"10.0.0.0/8\"]",
        ],
    );
}
