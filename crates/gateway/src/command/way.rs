//! The way to the API: over the socket of the process that owns the database, or within this one.
//!
//! In: the configuration file; a method, a path and a body. Out: the JSON of the answer, or what went wrong in the API's own words.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use store::{Database, StoreError};
use tokio::runtime::{Builder, Runtime};

use crate::{admin::local, app::App, config::StoreConfig, reload};

/// Longer than the API takes for anything.
const WAIT: Duration = Duration::from_secs(60);
/// Longest answer, as the API's own bound.
const ANSWER_BYTES: u64 = 64 << 20;

pub(super) enum Way {
    /// Through the owner.
    Socket(std::path::PathBuf),
    /// As the owner.
    Here(Arc<App>, Runtime),
}

impl Way {
    /// Through the owner none of the secrets is needed that the file names with `env:`.
    pub(super) fn open(config: &Path) -> Result<Way, String> {
        let StoreConfig::Sqlite(path) = reload::load_store(config)? else {
            return Err("store.url is \"memory\": there is nothing to manage".to_owned());
        };
        let socket = local::path(&path.canonicalize().unwrap_or_else(|_| path.clone()));
        if UnixStream::connect(&socket).is_ok() {
            return Ok(Way::Socket(socket));
        }
        let (_, config) = reload::load(config)?;
        let database = Database::open(&path).map_err(|error| match error {
            StoreError::Owned { path } => format!(
                "{path} is in use, and its owner cannot be reached at {}: is it starting, or another user's?",
                socket.display()
            ),
            error => error.to_string(),
        })?;
        // The settlements of this process: there are none.
        let (app, _) = App::new(config, database).map_err(|error| error.to_string())?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Way::Here(app, runtime))
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string);
        let (status, text) = match self {
            Way::Socket(socket) => over(socket, method, path, body.as_deref())?,
            Way::Here(app, runtime) => here(app, runtime, method, path, body)?,
        };
        let answer: Value = match text.len() {
            0 => Value::Null,
            _ => serde_json::from_slice(&text).map_err(|_| "the answer is no JSON".to_owned())?,
        };
        if (200..300).contains(&status) { Ok(answer) } else { Err(told(&answer)) }
    }
}

fn here(
    app: &Arc<App>,
    runtime: &Runtime,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<(u16, Vec<u8>), String> {
    let request =
        http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.body(Bytes::from(body.unwrap_or_default())).map_err(|error| error.to_string())?;
    let response = runtime.block_on(local::ask(app, request));
    Ok((response.status().as_u16(), response.into_body().to_vec()))
}

/// One request on a connection of its own: the end of the connection is the end of the answer.
fn over(socket: &Path, method: &str, path: &str, body: Option<&str>) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(WAIT)).map_err(failed)?;
    stream.set_write_timeout(Some(WAIT)).map_err(failed)?;
    let body = body.unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: sluice\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(failed)?;
    stream.write_all(body.as_bytes()).map_err(failed)?;
    let mut heard = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut heard).map_err(failed)?;
    parsed(&heard).ok_or_else(|| format!("{}: the answer broke off", socket.display()))
}

fn parsed(heard: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = memchr::memmem::find(heard, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&heard[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, heard[end..].to_vec()))
}

/// A problem for people.
fn told(problem: &Value) -> String {
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let mut told = text("detail");
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let more: Vec<String> = errors
        .iter()
        .filter_map(|error| Some(format!("\n  {}: {}", error["field"].as_str()?, error["reason"].as_str()?)))
        .filter(|line| !told.contains(line.trim()))
        .collect();
    told.push_str(&more.concat());
    format!("{told} ({})", text("code"))
}
