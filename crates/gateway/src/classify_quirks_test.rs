//! Whose fault the errors of docs/QUIRKS.md are: each row says it in bold, its fixture and its recordings show it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; how much of the corpus was looked at")]
use std::{collections::BTreeSet, fs, path::PathBuf, str::FromStr};

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::*;

struct Row {
    name: String,
    blame: String,
    recordings: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read_rows() -> Vec<Row> {
    let document = fs::read_to_string(root().join("docs/QUIRKS.md")).unwrap();
    let (_, errors) = document.split_once("## Errors").unwrap();
    let (errors, _) = errors.split_once("\n## ").unwrap();
    let rows = errors.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let [name, _, _, makes, ids] = cells[..] else { panic!("{line}") };
        let blame = makes.split("**").nth(1).unwrap_or_else(|| panic!("{name} blames nobody"));
        let recordings = ids.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row { name: name.trim_end_matches('`').to_owned(), blame: blame.to_owned(), recordings })
    });
    rows.collect()
}

fn blame_of(status: u16, headers: HeaderMap, body: &str) -> (String, String) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answered = classify(status, &headers, &body, true, &Redaction::default());
    // The document has one word for all that is about the request.
    let blame = if answered.blame.is_of_request() { Blame::Request } else { answered.blame };
    (format!("{blame:?}"), answered.message)
}

/// As a fixture has them: the content type, then `name=value`.
fn read_headers(told: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in told.split(' ') {
        let (name, value) = header.split_once('=').unwrap_or(("content-type", header));
        headers.insert(HeaderName::from_str(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn fixtures_of_errors_are_blamed_as_documented() {
    let rows = read_rows();
    let mut seen = BTreeSet::new();
    for dialect in dialect::Dialect::ALL {
        let folder = root().join("crates/dialect/fixtures/quirks").join(dialect.name());
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "error") {
                continue;
            }
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let row = rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"));
            let text = fs::read_to_string(&path).unwrap();
            let (head, body) = text.split_once('\n').unwrap();
            let (status, told) = head.split_once(' ').unwrap();
            let (blame, message) = blame_of(status.parse().unwrap(), read_headers(told), body);
            assert_eq!(blame, row.blame, "{name}: {message}");
            assert!(!message.is_empty(), "{name}");
            seen.insert(name);
        }
    }
    let documented: BTreeSet<_> = rows.into_iter().map(|row| row.name).collect();
    assert_eq!(seen, documented, "fixtures of errors, and rows");
}

#[test]
fn recorded_errors_are_blamed_as_documented() {
    let folder = root().join("../shared/corpus/recordings");
    if !folder.is_dir() {
        println!("corpus not present: skipped");
        return;
    }
    for row in read_rows() {
        for id in &row.recordings {
            let (provider, _) = id.split_once('.').unwrap();
            let path = folder.join(provider).join(format!("{id}.json"));
            let Ok(record) = fs::read(&path) else {
                println!("{id} is not in this corpus"); // The document's ids are checked beside the fixtures.
                continue;
            };
            let record: Value = serde_json::from_slice(&record).unwrap();
            let response = &record["response"];
            let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
            let headers = response["headers"].as_object().unwrap().iter().map(|(name, value)| {
                let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
                (HeaderName::from_str(name).unwrap(), value)
            });
            let (blame, message) = blame_of(status, headers.collect(), &response["body"].to_string());
            assert_eq!(blame, row.blame, "{id}: {message}");
        }
    }
}

/// What the request asked for is its own fault, and must put no model to rest.
#[test]
fn tools_that_no_endpoint_has_are_the_requests_affair() {
    let body = r#"{"error":{"message":"No endpoints found that support tool use.","code":404}}"#;
    assert_eq!(blame_of(404, HeaderMap::new(), body).0, "Request");
}
