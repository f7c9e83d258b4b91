//! Who changed what.
//!
//! In: a request of an admin. Out: the audit trail, newest first. Nobody can change it: it is written with each change, in the
//! same transaction, by the store.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::audit::{self, Filter, Row};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role},
    asked::Asked,
    input::Search,
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    /// user, group, key, channel, price, code, account, setting.
    object: Option<String>,
    /// With `object`: the history of one.
    object_id: Option<String>,
    /// Number of the user who acted.
    actor_id: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    id: i64,
    at_ms: i64,
    /// Null: the operator at the machine.
    actor_id: Option<i64>,
    actor: String,
    via: String,
    action: String,
    object: String,
    object_id: String,
    /// The row before and after, without secrets.
    before: Option<Value>,
    after: Option<Value>,
    address: Option<String>,
    request_id: Option<String>,
}

fn shown(row: Row) -> AuditRow {
    let parsed = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    AuditRow {
        id: row.id,
        at_ms: row.at_ms,
        actor_id: row.actor_id,
        actor: row.actor,
        via: row.via,
        action: row.action,
        object: row.object,
        object_id: row.object_id,
        before: parsed(row.before),
        after: parsed(row.after),
        address: row.address,
        request_id: row.request_id.map(|id| uuid::Uuid::from_bytes(id).to_string()),
    }
}

/// The audit trail, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(PagingParams, Params),
    responses((status = 200, body = Page<AuditRow>)))]
async fn list_audit(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    actor.needs(Role::Admin)?;
    let filter = Filter { object: params.object, object_id: params.object_id, actor_id: params.actor_id };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let rows = asked.look(move |books| audit::list(books, &filter, after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown)))
}
