//! Bodies, queries and paths, read strictly.
//!
//! In: a request. Out: a typed value, or a problem that names the field. Unknown fields are refused by the types themselves
//! (`deny_unknown_fields`), so that a slip of the pen is not taken for silence.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{header, request::Parts};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::problem::{Code, Problem};

/// A JSON body; none at all is an empty object.
#[derive(Debug)]
pub struct Input<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Input<T>, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = Bytes::from_request(request, state).await.map_err(|_| Problem::internal())?;
        if body.is_empty() {
            return read(b"{}").map(Input);
        }
        // A form on somebody's page can send anything but this without being asked about it.
        let kind = kind.and_then(|kind| kind.to_str().map(str::to_ascii_lowercase).ok());
        let essence = kind.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim);
        if essence != Some("application/json") {
            let detail = "Send the body as JSON, with `content-type: application/json`.";
            return Err(Problem::new(Code::WrongContentType, detail));
        }
        read(&body).map(Input)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_syntax() || inner.is_eof() {
            let detail = format!("The body is not JSON: line {}, column {}.", inner.line(), inner.column());
            return Problem::new(Code::BadInput, detail);
        }
        misread(&path, &inner.to_string())
    })?;
    deserializer.end().map_err(|_| Problem::new(Code::BadInput, "There is something behind the JSON."))?;
    Ok(read)
}

/// A problem from the words of the reader: it names a missing or unknown field in them and not in its path.
fn misread(path: &str, words: &str) -> Problem {
    let words = words.split(" at line ").next().unwrap_or(words);
    let parent = if path == "." { "" } else { path };
    let named = |start: &str| words.strip_prefix(start)?.split('`').next();
    let below = |name: &str| match parent.rsplit_once('.') {
        _ if parent.is_empty() || parent == name => name.to_owned(),
        // The path of an unknown field ends with it.
        Some((_, last)) if last == name => parent.to_owned(),
        _ => format!("{parent}.{name}"),
    };
    if let Some(name) = named("missing field `") {
        return Problem::bad(below(name), "is needed");
    }
    if let Some(name) = named("unknown field `") {
        let known = words.split_once(", ").map_or("", |(_, known)| known);
        return Problem::bad(below(name), format!("is not known here; {known}"));
    }
    Problem::bad(parent, words.to_owned())
}

/// The query of the URL.
#[derive(Debug)]
pub struct Search<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Search<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Search<T>, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(search)) => Ok(Search(search)),
            Err(rejection) => {
                let words = rejection.body_text();
                let words = words.rsplit_once("query string: ").map_or(&*words, |(_, words)| words);
                let (field, reason) = words.split_once(": ").unwrap_or(("", words));
                Err(misread(field, reason))
            }
        }
    }
}

/// The number in the path.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        let path = Path::<i64>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Id(id)).map_err(|_| Problem::missing())
    }
}

/// For fields that can be null: `None` is not named, `Some(None)` is null.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// Nothing to say but that it was done.
#[derive(Debug)]
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        http::StatusCode::NO_CONTENT.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read, and looked at no further")]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read, and looked at no further")]
    struct Inner {
        count: u32,
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (body, field) in [
            ("{}", "name"),
            (r#"{"name":1}"#, "name"),
            (r#"{"name":"a","nam":"b"}"#, "nam"),
            (r#"{"name":"a","inner":[{"count":-1}]}"#, "inner[0].count"),
            (r#"{"name":"a","inner":[{"count":1},{}]}"#, "inner[1].count"),
            (r#"{"name":"a","inner":[{"count":1,"x":2}]}"#, "inner[0].x"),
        ] {
            let problem = read::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.errors[0].field, field, "{body}: {problem:?}");
            assert!(!problem.detail.contains("line"), "{problem:?}");
        }
        for body in ["", "{", "[", r#"{"name":"a"} x"#] {
            assert!(read::<Outer>(body.as_bytes()).unwrap_err().errors.is_empty(), "{body}");
        }
    }
}
