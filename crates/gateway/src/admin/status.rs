//! `GET /api/status`: what programs of the one-api family ask a gateway about itself. Nothing here is a secret.

use axum::Json;
use serde_json::{Value, json};
use store::ratio::UNITS_PER_USD;

use super::{asked::Asked, problem::Problem, settings};

pub(super) async fn status(asked: Asked) -> Result<Json<Value>, Problem> {
    let settings = asked.look(settings::values).await?;
    let setting = |name: &str| settings.get(name).cloned().unwrap_or_default();
    Ok(Json(json!({
        "success": true,
        "message": "",
        "data": {
            "version": env!("CARGO_PKG_VERSION"),
            "system_name": setting("system_name"),
            "server_address": setting("server_address"),
            "top_up_link": setting("top_up_link"),
            "quota_per_unit": UNITS_PER_USD,
            "display_in_currency": true,
            "checkin_enabled": false,
        },
    })))
}
