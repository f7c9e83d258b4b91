//! What went wrong, by RFC 9457: for people a sentence, for programs a code and the fields.
//!
//! In: what a handler found. Out: `application/problem+json` with the request's id, which the edge puts in. It must never hold
//! a secret, a path of this machine, or SQL.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

use crate::config;

/// What programs tell problems apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadInput,
    NotSignedIn,
    WrongCredentials,
    SecondFactorNeeded,
    NotAllowed,
    NoCsrfToken,
    TurnedOff,
    LinkNotGood,
    NotFound,
    Removed,
    NoSuchPath,
    WrongMethod,
    Taken,
    Conflict,
    ReadOnly,
    TooLarge,
    WrongContentType,
    TooMany,
    Busy,
    TimedOut,
    Unavailable,
    Internal,
}

impl Code {
    pub const fn name(self) -> &'static str {
        match self {
            Code::BadInput => "bad_input",
            Code::NotSignedIn => "not_signed_in",
            Code::WrongCredentials => "wrong_credentials",
            Code::SecondFactorNeeded => "second_factor_needed",
            Code::NoCsrfToken => "no_csrf_token",
            Code::TurnedOff => "turned_off",
            Code::LinkNotGood => "link_not_good",
            Code::NotAllowed => "not_allowed",
            Code::NotFound => "not_found",
            Code::Removed => "removed",
            Code::NoSuchPath => "no_such_path",
            Code::WrongMethod => "wrong_method",
            Code::Taken => "taken",
            Code::Conflict => "conflict",
            Code::ReadOnly => "read_only",
            Code::TooLarge => "too_large",
            Code::WrongContentType => "wrong_content_type",
            Code::TooMany => "too_many",
            Code::Busy => "busy",
            Code::TimedOut => "timed_out",
            Code::Unavailable => "unavailable",
            Code::Internal => "internal",
        }
    }

    pub const fn status(self) -> u16 {
        match self {
            Code::BadInput => 400,
            Code::NotSignedIn | Code::WrongCredentials | Code::SecondFactorNeeded => 401,
            Code::NotAllowed | Code::NoCsrfToken | Code::TurnedOff => 403,
            Code::LinkNotGood => 410,
            Code::NotFound | Code::NoSuchPath => 404,
            Code::WrongMethod => 405,
            Code::Removed => 410,
            Code::Taken | Code::Conflict | Code::ReadOnly => 409,
            Code::TooLarge => 413,
            Code::WrongContentType => 415,
            Code::TooMany => 429,
            Code::Internal => 500,
            Code::Busy | Code::TimedOut | Code::Unavailable => 503,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Code::BadInput => "Something in the request is wrong",
            Code::NotSignedIn => "Sign in first",
            Code::WrongCredentials => "Name, password or code is wrong",
            Code::SecondFactorNeeded => "The second factor is needed",
            Code::NoCsrfToken => "The token of the session is missing",
            Code::TurnedOff => "This is turned off here",
            Code::LinkNotGood => "The link is not good any more",
            Code::NotAllowed => "This needs more rights",
            Code::NotFound => "There is no such thing",
            Code::Removed => "It is not kept any more",
            Code::NoSuchPath => "There is no such path",
            Code::WrongMethod => "Not with this method",
            Code::Taken => "Another one has this already",
            Code::Conflict => "This does not go together with what is there",
            Code::ReadOnly => "This is kept in the configuration file",
            Code::TooLarge => "The body is too large",
            Code::WrongContentType => "The body is not JSON",
            Code::TooMany => "Too many tries",
            Code::Busy => "Too many requests at once",
            Code::TimedOut => "This took too long",
            Code::Unavailable => "The database does not answer",
            Code::Internal => "Something broke in the gateway",
        }
    }
}

/// A field of the request and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Dotted path in the body, or the name of a parameter.
    pub field: String,
    pub reason: String,
}

#[derive(Clone, Debug)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// Seconds until it is worth another try.
    pub retry_after: Option<u64>,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct Written<'p> {
    /// `urn:sluice:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    code: &'p str,
    /// Under which the log tells more.
    request_id: String,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'p [FieldError],
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        let retry_after = matches!(code, Code::Busy | Code::Unavailable).then_some(1);
        Problem { code, detail: detail.into(), errors: Vec::new(), retry_after }
    }

    /// One field is wrong.
    pub fn bad(field: impl Into<String>, reason: impl Into<String>) -> Problem {
        let (field, reason) = (field.into(), reason.into());
        let detail = if field.is_empty() { reason.clone() } else { format!("{field}: {reason}") };
        Problem::new(Code::BadInput, detail).field(field, reason)
    }

    /// What the configuration's reader says of the body, read as the file's first block of this kind.
    pub(super) fn of_block(kind: &str, problems: &[config::Problem]) -> Problem {
        let block = format!("{kind}[0]");
        let errors: Vec<FieldError> = problems
            .iter()
            .map(|problem| FieldError {
                field: problem.key.trim_start_matches(&block).trim_start_matches('.').to_owned(),
                reason: problem.message.clone(),
            })
            .collect();
        let detail: Vec<String> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.reason)).collect();
        Problem { errors, ..Problem::new(Code::BadInput, detail.join("; ")) }
    }

    pub fn missing() -> Problem {
        Problem::new(Code::NotFound, "There is no such thing, or it is not yours to see.")
    }

    pub fn internal() -> Problem {
        Problem::new(Code::Internal, "Something broke. The log says more under the request's id.")
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>, reason: impl Into<String>) -> Problem {
        let field = field.into();
        if !field.is_empty() {
            self.errors.push(FieldError { field, reason: reason.into() });
        }
        self
    }

    pub(super) fn body(&self, request_id: Uuid) -> Bytes {
        let written = Written {
            kind: format!("urn:sluice:problem:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.name(),
            request_id: request_id.to_string(),
            errors: &self.errors,
        };
        serde_json::to_vec(&written).unwrap_or_default().into()
    }
}

/// The edge writes it, when it knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Written::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Written::schemas(schemas);
    }
}
