//! Settings, for root.
//!
//! In: requests under `/settings`. Out: every setting with its value and whether that was changed. Only what is listed here is a
//! setting, and none of them is a secret: secrets are the configuration file's, and no answer has them.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value};
use store::settings;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::TEXT_CHARS,
    input::Input,
    problem::Problem,
};

/// A setting: its name, what it is without being said, and for what.
struct Known {
    name: &'static str,
    default: &'static str,
    about: &'static str,
    is_url: bool,
}

const KNOWN: [Known; 4] = [
    Known {
        name: "system_name",
        default: "Sluice",
        about: "What clients and pages call this gateway.",
        is_url: false,
    },
    Known { name: "notice", default: "", about: "A word to all users.", is_url: false },
    Known {
        name: "server_address",
        default: "",
        about: "Where clients reach this gateway; for snippets and links.",
        is_url: true,
    },
    Known { name: "top_up_link", default: "", about: "Where users buy codes.", is_url: true },
];

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_settings, change_settings))
}

#[derive(Debug, Serialize, ToSchema)]
struct Setting {
    name: &'static str,
    value: String,
    default: &'static str,
    changed: bool,
    about: &'static str,
}

/// Every setting's value.
pub(crate) fn values(books: &store::Database) -> Result<BTreeMap<&'static str, String>, store::StoreError> {
    let changed: BTreeMap<String, String> = settings::all(books)?.into_iter().collect();
    let value = |known: &Known| {
        let changed = changed.get(known.name).and_then(|value| serde_json::from_str(value).ok());
        (known.name, changed.unwrap_or_else(|| known.default.to_owned()))
    };
    Ok(KNOWN.iter().map(value).collect())
}

async fn all(asked: &Asked) -> Result<Json<Vec<Setting>>, Problem> {
    let values = asked.look(values).await?;
    let setting = |known: &Known| {
        let value = values.get(known.name).cloned().unwrap_or_default();
        let changed = value != known.default;
        Setting { name: known.name, value, default: known.default, changed, about: known.about }
    };
    Ok(Json(KNOWN.iter().map(setting).collect()))
}

/// Every setting.
#[utoipa::path(get, path = "/settings", tag = "settings", responses((status = 200, body = [Setting])))]
async fn list_settings(actor: Actor, asked: Asked) -> Result<Json<Vec<Setting>>, Problem> {
    actor.needs(Role::Root)?;
    all(&asked).await
}

/// Changes the settings that are named, all or none; null puts one back to its default.
#[utoipa::path(patch, path = "/settings", tag = "settings", request_body = Object,
    responses((status = 200, body = [Setting])))]
async fn change_settings(
    actor: Actor,
    asked: Asked,
    Input(input): Input<Map<String, Value>>,
) -> Result<Json<Vec<Setting>>, Problem> {
    actor.needs(Role::Root)?;
    let mut changes = Vec::new();
    for (name, value) in input {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            return Err(Problem::bad(name, "is no setting"));
        };
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(checked(known, text)?),
            _ => return Err(Problem::bad(known.name, "expected a string")),
        };
        changes.push((known.name, value.map(|text| Value::String(text).to_string())));
    }
    let by = actor.by(&asked);
    asked.change(move |books| settings::set(books, &by, &changes)).await?;
    all(&asked).await
}

fn checked(known: &Known, text: String) -> Result<String, Problem> {
    if text.chars().count() > TEXT_CHARS || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Problem::bad(known.name, format!("expected at most {TEXT_CHARS} printable characters")));
    }
    let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    if known.is_url && !text.is_empty() && !is_url(&text) {
        return Err(Problem::bad(known.name, "expected an address that begins with https:// or http://"));
    }
    Ok(text)
}
