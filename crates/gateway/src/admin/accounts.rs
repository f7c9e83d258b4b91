//! Accounts: everybody's own balance and entries, and the amounts that admins move.
//!
//! In: requests under `/accounts`, by the number of the user or `me`. Out: money as decimal strings. An amount is moved once for each
//! operation, with a reason, and never edited.

pub(super) mod operation;

use axum::Json;
use serde::{Deserialize, Serialize};
use store::{
    Nanos,
    accounts::{self, Account as Row, EntryRow},
    audit::By,
    change::ChangeError,
    keys::KeyHash,
    ledger::EntryKind,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::operation::Operation;
use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::{TEXT_CHARS, Usd},
    input::{Input, Named, Search},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
    users::whose,
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(show_account))
        .routes(routes!(list_entries))
        .routes(routes!(top_up_account))
        .routes(routes!(refund_account))
        .routes(routes!(adjust_account))
}

#[derive(Debug, Serialize, ToSchema)]
struct Balance {
    user_id: i64,
    user: String,
    /// What he uses is counted and not limited by the balance.
    unlimited: bool,
    balance: Usd,
    /// Sum of what was paid in.
    paid: Usd,
    /// Sum of all charges.
    spent: Usd,
    /// Of requests that run.
    held: Usd,
}

fn shown(row: Row) -> Balance {
    Balance {
        user_id: row.user_id,
        user: row.user,
        unlimited: row.unlimited,
        balance: Usd(row.balance),
        paid: Usd(row.paid),
        spent: Usd(row.spent),
        held: Usd(row.held),
    }
}

/// A user's account; `me` is that of whoever asks.
#[utoipa::path(get, path = "/accounts/{user}", tag = "account", params(("user" = String, Path)),
    responses((status = 200, body = Balance)))]
async fn show_account(actor: Actor, asked: Asked, Named(user): Named) -> Result<Json<Balance>, Problem> {
    let id = whose(&actor, &user)?;
    Ok(Json(shown(asked.look(move |books| accounts::find(books, id)).await?)))
}

#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    id: i64,
    /// settlement, top_up, refund, redemption, adjustment.
    kind: String,
    /// Negative: it was taken from the account.
    amount: Usd,
    key_id: Option<i64>,
    key: Option<String>,
    /// Of a settlement, and of a refund that is about one: the request.
    request_id: Option<String>,
    at_ms: i64,
    note: Option<String>,
}

fn entry(row: EntryRow) -> Entry {
    Entry {
        id: row.id,
        kind: row.kind,
        amount: Usd(row.amount),
        key_id: row.key_id,
        key: row.key,
        request_id: row.request_id.map(|id| uuid::Uuid::from_bytes(id).to_string()),
        at_ms: row.at_ms,
        note: row.note,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    kind: Option<String>,
}

/// What came into an account and went out of it, newest first.
#[utoipa::path(get, path = "/accounts/{user}/entries", tag = "account",
    params(("user" = String, Path), PagingParams, Params), responses((status = 200, body = Page<Entry>)))]
async fn list_entries(
    actor: Actor,
    asked: Asked,
    Named(user): Named,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Entry>>, Problem> {
    let id = whose(&actor, &user)?;
    let (after, limit) = (paging.after_id()?, paging.limit);
    let rows = asked
        .look(move |books| accounts::entries(books, id, params.kind.as_deref(), after, limit + 1))
        .await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), entry)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AmountInput {
    amount: Usd,
    /// Why; it stands in the books for good.
    reason: String,
    /// The operation's own name, if not said by `Idempotency-Key`: the same twice is once.
    operation_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefundInput {
    amount: Usd,
    /// Why; it stands in the books for good.
    reason: String,
    /// The operation's own name, if not said by `Idempotency-Key`: the same twice is once.
    operation_id: Option<String>,
    /// Of which request it is given back; the key's spend limit follows.
    request_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Moved {
    entry_id: i64,
    amount: Usd,
    balance: Usd,
    /// It had been done before, by the same operation.
    repeated: bool,
}

/// An amount that may be moved.
struct Checked {
    user: i64,
    amount: Nanos,
    reason: String,
    by: By,
    operation: KeyHash,
}

fn checked(
    actor: &Actor,
    asked: &Asked,
    user: &str,
    operation: Operation,
    kind: EntryKind,
    input: AmountInput,
) -> Result<Checked, Problem> {
    actor.needs(Role::Admin)?;
    let user = whose(actor, user)?;
    let AmountInput { amount: Usd(amount), reason, operation_id } = input;
    if amount == Nanos::ZERO || amount < Nanos::ZERO && kind != EntryKind::Adjustment {
        return Err(Problem::bad("amount", "expected more than 0"));
    }
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > TEXT_CHARS || reason.contains(char::is_control) {
        let expected = format!("expected 1 to {TEXT_CHARS} printable characters: it stands in the books");
        return Err(Problem::bad("reason", expected));
    }
    let operation = operation.or(operation_id)?.of(actor);
    Ok(Checked { user, amount, reason, by: actor.by(asked), operation })
}

fn told(amount: Nanos, entered: &accounts::Entered) -> Moved {
    Moved {
        entry_id: entered.entry_id,
        amount: Usd(amount),
        balance: Usd(entered.balance),
        repeated: entered.repeated,
    }
}

async fn enter(
    actor: Actor,
    asked: Asked,
    user: &str,
    operation: Operation,
    kind: EntryKind,
    input: AmountInput,
) -> Result<Json<Moved>, Problem> {
    let Checked { user, amount, reason, by, operation } =
        checked(&actor, &asked, user, operation, kind, input)?;
    let entered = asked
        .change(move |books| {
            let entry = accounts::Entry { kind, amount, operation: &operation, note: &reason };
            accounts::enter(books, &by, user, &entry)
        })
        .await?;
    Ok(Json(told(amount, &entered)))
}

/// Pays into a user's account.
#[utoipa::path(post, path = "/accounts/{user}/top-up", tag = "account", request_body = AmountInput,
    params(("user" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Moved)))]
async fn top_up_account(
    actor: Actor,
    asked: Asked,
    Named(user): Named,
    operation: Operation,
    Input(input): Input<AmountInput>,
) -> Result<Json<Moved>, Problem> {
    enter(actor, asked, &user, operation, EntryKind::TopUp, input).await
}

/// Gives something back to a user's account: never more than it was charged in all, and of one request, with `request_id`, never
/// more than that was charged. What is beyond is no refund: see `adjust`.
#[utoipa::path(post, path = "/accounts/{user}/refund", tag = "account", request_body = RefundInput,
    params(("user" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Moved)))]
async fn refund_account(
    actor: Actor,
    asked: Asked,
    Named(user): Named,
    operation: Operation,
    Input(input): Input<RefundInput>,
) -> Result<Json<Moved>, Problem> {
    let RefundInput { amount, reason, operation_id, request_id } = input;
    let input = AmountInput { amount, reason, operation_id };
    let Some(request_id) = request_id else {
        return enter(actor, asked, &user, operation, EntryKind::Refund, input).await;
    };
    let request = request_id
        .parse::<uuid::Uuid>()
        .map_err(|_| Problem::bad("request_id", "is not the id of a request"))?
        .into_bytes();
    let Checked { user, amount, reason, by, operation } =
        checked(&actor, &asked, &user, operation, EntryKind::Refund, input)?;
    let entered = asked
        .change_in(move |app| {
            let entry =
                accounts::Entry { kind: EntryKind::Refund, amount, operation: &operation, note: &reason };
            let (entered, follows) = accounts::refund(&app.database, &by, user, &request, &entry)?;
            if let Some(follows) = follows {
                app.refunded(&follows);
            }
            Ok::<_, ChangeError>(entered)
        })
        .await?;
    Ok(Json(told(amount, &entered)))
}

/// Corrects a user's balance, up or down.
#[utoipa::path(post, path = "/accounts/{user}/adjust", tag = "account", request_body = AmountInput,
    params(("user" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Moved)))]
async fn adjust_account(
    actor: Actor,
    asked: Asked,
    Named(user): Named,
    operation: Operation,
    Input(input): Input<AmountInput>,
) -> Result<Json<Moved>, Problem> {
    enter(actor, asked, &user, operation, EntryKind::Adjustment, input).await
}
