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
use utoipa::IntoParams;

use super::{
    paging::PagingParams,
    problem::{Code, Problem},
};

/// Longest part of a request that an answer repeats, in characters.
const LONGEST_WORDS: usize = 120;

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
        return Problem::bad(shortened(&below(name)), format!("is not known here; {known}"));
    }
    Problem::bad(parent, shortened(&plainly(words)))
}

/// What is wrong with a value in the words of people: the reader speaks of its own types.
fn plainly(words: &str) -> String {
    let (found, expected) = match words.rsplit_once(", expected ") {
        Some((found, expected)) => (found, expected),
        None if words.contains("invalid digit")
            || words.contains("too large")
            || words.contains("too small") =>
        {
            return "expected a whole number within bounds".to_owned();
        }
        None => return words.to_owned(),
    };
    let expected = match expected {
        "i64" => "a whole number",
        "u32" | "u64" => "a whole number that is not negative",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "a map" => "an object",
        own if own.starts_with("struct ") => "an object",
        other => other,
    };
    let found =
        found.strip_prefix("invalid type: ").or(found.strip_prefix("invalid value: ")).unwrap_or(found);
    let found = match found {
        "sequence" => "a list",
        "map" => "an object",
        other => other,
    };
    format!("found {}, expected {expected}", shortened(found))
}

/// Of what somebody sent so much is repeated to him.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The query of the URL. A filter that is not known is refused: with a slip of the pen a list would show everything.
#[derive(Debug)]
pub struct Search<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Search<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Search<T>, Problem> {
        let known = T::into_params(|| None).into_iter().chain(PagingParams::into_params(|| None));
        let known: Vec<String> = known.map(|parameter| parameter.name).collect();
        let said: Vec<(String, String)> = queried(parts)?;
        if let Some((name, _)) = said.iter().find(|(name, _)| !known.contains(name)) {
            let reason = format!("is not known here; expected one of {}", known.join(", "));
            return Err(Problem::bad(shortened(name), reason));
        }
        queried(parts).map(Search)
    }
}

/// The same, for what others add to our URLs.
#[derive(Debug)]
pub struct Loose<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Loose<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Loose<T>, Problem> {
        queried(parts).map(Loose)
    }
}

fn queried<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    Query::try_from_uri(&parts.uri).map(|Query(query)| query).map_err(|rejection| {
        let words = rejection.body_text();
        let words = words.rsplit_once("query string: ").map_or(&*words, |(_, words)| words);
        let (field, reason) = words.split_once(": ").unwrap_or(("", words));
        misread(field, reason)
    })
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

/// The name in the path, such as `me` or the id of a session. What is no text is the name of nothing.
#[derive(Clone, Debug)]
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Named(name)).map_err(|_| Problem::missing())
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
    fn what_is_wrong_is_said_in_plain_words_and_not_at_length() {
        let reason = |body: &str| read::<Outer>(body.as_bytes()).unwrap_err().detail;
        for (body, told) in [
            (r#"{"name":1}"#, "name: found integer `1`, expected a string"),
            (r#"{"name":"a","inner":1}"#, "inner: found integer `1`, expected a list"),
            (
                r#"{"name":"a","inner":[{"count":[]}]}"#,
                "inner[0].count: found a list, expected a whole number that is not negative",
            ),
            ("null", "found null, expected an object"),
        ] {
            assert_eq!(reason(body), told, "{body}");
        }
        let long = "x".repeat(10_000);
        for body in [format!(r#"{{"name":"a","inner":"{long}"}}"#), format!(r#"{{"{long}":1}}"#)] {
            assert!(reason(&body).len() < 1_000);
        }
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
