//! Redemption codes: made and voided by admins, redeemed by users.
//!
//! In: requests under `/codes`. Out: rows that show the end of a code. The codes themselves are in the one answer to whoever made
//! them, and nowhere else.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    Nanos,
    codes::{self, Code as Row, Filter},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    accounts::operation::Operation,
    actor::{Actor, Role},
    asked::Asked,
    fields::{self, Usd},
    input::{Id, Input, Search},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};
use crate::{catalog::digest, clock::unix_ms, random};

/// Without those that are read as another: I, L, O, U.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 120 bits, in groups that can be read aloud.
const LENGTH: usize = 24;
const GROUP: usize = 6;
/// Codes of one batch.
const MOST: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_codes, create_codes))
        .routes(routes!(show_code))
        .routes(routes!(void_code))
        .routes(routes!(void_codes))
        .routes(routes!(redeem_code))
}

#[derive(Debug, Serialize, ToSchema)]
struct Code {
    id: i64,
    batch: String,
    /// Its last four characters.
    last4: String,
    value: Usd,
    /// active, void, redeemed.
    status: String,
    expires_ms: Option<i64>,
    redeemed_by: Option<i64>,
    redeemed_by_name: Option<String>,
    redeemed_ms: Option<i64>,
    created_ms: i64,
}

fn shown(row: Row) -> Code {
    Code {
        id: row.id,
        batch: row.batch,
        last4: row.last4,
        value: Usd(row.value),
        status: row.status,
        expires_ms: row.expires_ms,
        redeemed_by: row.redeemed_by,
        redeemed_by_name: row.redeemed_by_name,
        redeemed_ms: row.redeemed_ms,
        created_ms: row.created_ms,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    batch: Option<String>,
    status: Option<String>,
}

/// The codes, newest first.
#[utoipa::path(get, path = "/codes", tag = "codes", params(PagingParams, Params),
    responses((status = 200, body = Page<Code>)))]
async fn list_codes(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Code>>, Problem> {
    actor.needs(Role::Admin)?;
    let filter = Filter { batch: params.batch, status: params.status };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) = asked.look(move |books| codes::list(books, &filter, after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown).of(total.into())))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchInput {
    /// A name of its own for the batch.
    batch: String,
    /// Dollars that each code is worth.
    value: Usd,
    /// 1 to 1000.
    count: u32,
    expires_ms: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Batch {
    batch: String,
    value: Usd,
    expires_ms: Option<i64>,
    /// Shown this once.
    codes: Vec<String>,
}

/// Makes a batch of codes. They are in this answer and never again.
#[utoipa::path(post, path = "/codes", tag = "codes", request_body = BatchInput,
    responses((status = 201, body = Batch)))]
async fn create_codes(
    actor: Actor,
    asked: Asked,
    Input(input): Input<BatchInput>,
) -> Result<(StatusCode, Json<Batch>), Problem> {
    actor.needs(Role::Admin)?;
    let BatchInput { batch, value, count, expires_ms } = input;
    fields::name("batch", &batch)?;
    if value.0 <= Nanos::ZERO {
        return Err(Problem::bad("value", "expected more than 0"));
    }
    if !(1..=MOST).contains(&count) {
        return Err(Problem::bad("count", format!("expected a number from 1 to {MOST}")));
    }
    if expires_ms.is_some_and(|expires_ms| expires_ms <= unix_ms()) {
        return Err(Problem::bad("expires_ms", "is past"));
    }
    let made: Vec<String> = (0..count).map(|_| random::letters(LENGTH, LETTERS)).collect();
    let kept: Vec<_> = made.iter().map(|code| (digest(code), code[LENGTH - 4..].to_owned())).collect();
    let (by, name) = (actor.by(&asked), batch.clone());
    asked.change(move |books| codes::create(books, &by, &name, value.0, expires_ms, &kept)).await?;
    let codes = made.iter().map(|code| grouped(code)).collect();
    Ok((StatusCode::CREATED, Json(Batch { batch, value, expires_ms, codes })))
}

fn grouped(code: &str) -> String {
    let groups: Vec<&str> =
        (0..code.len()).step_by(GROUP).filter_map(|at| code.get(at..(at + GROUP).min(code.len()))).collect();
    groups.join("-")
}

/// As it was made, whatever the writer put between its letters, and however he read them.
fn ungrouped(code: &str) -> String {
    let letters = code.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    });
    letters.take(LENGTH + 1).collect()
}

/// A code, without the code itself.
#[utoipa::path(get, path = "/codes/{id}", tag = "codes", params(("id" = i64, Path)),
    responses((status = 200, body = Code)))]
async fn show_code(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Code>, Problem> {
    actor.needs(Role::Admin)?;
    Ok(Json(shown(asked.look(move |books| codes::find(books, id)).await?)))
}

/// Makes a code worthless.
#[utoipa::path(post, path = "/codes/{id}/void", tag = "codes", params(("id" = i64, Path)),
    responses((status = 200, body = Code)))]
async fn void_code(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Code>, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    let row = asked
        .change(move |books| {
            codes::void(books, &by, id)?;
            codes::find(books, id)
        })
        .await?;
    Ok(Json(shown(row)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VoidInput {
    batch: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Voided {
    voided: u32,
}

/// Makes worthless what is left of a batch.
#[utoipa::path(post, path = "/codes/void", tag = "codes", request_body = VoidInput,
    responses((status = 200, body = Voided)))]
async fn void_codes(
    actor: Actor,
    asked: Asked,
    Input(input): Input<VoidInput>,
) -> Result<Json<Voided>, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    let voided = asked.change(move |books| codes::void_batch(books, &by, &input.batch)).await?;
    Ok(Json(Voided { voided }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemInput {
    code: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Redeemed {
    value: Usd,
    balance: Usd,
    /// It had been done before, by the same `Idempotency-Key`.
    repeated: bool,
}

/// Pays a code into one's own account. The same `Idempotency-Key` twice is once.
#[utoipa::path(post, path = "/codes/redeem", tag = "account", request_body = RedeemInput,
    params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, body = Redeemed)))]
async fn redeem_code(
    actor: Actor,
    asked: Asked,
    operation: Operation,
    Input(input): Input<RedeemInput>,
) -> Result<Json<Redeemed>, Problem> {
    let user = actor.user()?;
    let hash = digest(&ungrouped(&input.code));
    let (by, operation) = (actor.by(&asked), operation.of(&actor));
    let done = asked.change(move |books| codes::redeem(books, &by, user, &hash, &operation)).await?;
    Ok(Json(Redeemed { value: Usd(done.value), balance: Usd(done.balance), repeated: done.repeated }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_was_made() {
        let code = random::letters(LENGTH, LETTERS);
        let told = grouped(&code);
        assert_eq!(told.len(), LENGTH + 3);
        assert_eq!(ungrouped(&told), code);
        assert_eq!(ungrouped(&format!(" {} ", told.to_lowercase().replace('0', "o"))), code);
    }
}
