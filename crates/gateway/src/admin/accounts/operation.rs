//! What an operation on money calls itself, so that asking twice is asking once.
//!
//! In: the header `Idempotency-Key`, or a field of the body. Out: a hash, different for everybody who asks: two admins may both
//! count from 1. An operation without a name is one of its own.

use axum::extract::FromRequestParts;
use http::request::Parts;
use store::keys::KeyHash;

use crate::{
    admin::{actor::Actor, problem::Problem},
    catalog::digest,
    random,
};

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 200;

#[derive(Debug)]
pub(in crate::admin) struct Operation(Option<String>);

impl Operation {
    /// The one of the header, else the one of the body; both at once must say the same.
    pub(super) fn or(self, said: Option<String>) -> Result<Operation, Problem> {
        match (self.0, said) {
            (Some(header), Some(said)) if header != said => {
                Err(Problem::bad("operation_id", "is not what Idempotency-Key says"))
            }
            (None, Some(said)) => checked("operation_id", said).map(|said| Operation(Some(said))),
            (header, _) => Ok(Operation(header)),
        }
    }

    pub(in crate::admin) fn of(self, actor: &Actor) -> KeyHash {
        match self.0 {
            Some(said) => digest(&format!("{}\n{said}", actor.user_id.unwrap_or_default())),
            None => random::bytes(),
        }
    }
}

fn checked(field: &str, said: String) -> Result<String, Problem> {
    if said.is_empty() || said.len() > LONGEST || !said.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::bad(field, format!("expected 1 to {LONGEST} visible ASCII characters")));
    }
    Ok(said)
}

impl<S: Send + Sync> FromRequestParts<S> for Operation {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Operation, Problem> {
        let Some(said) = parts.headers.get(HEADER) else { return Ok(Operation(None)) };
        let said = said.to_str().unwrap_or_default().to_owned();
        checked("Idempotency-Key", said).map(|said| Operation(Some(said)))
    }
}
