//! Texts that a client names by their item's id, because it takes the provider for one that keeps them.
//!
//! In: items as they were told, or a request that names some. Out: the texts by id, or the request with the texts in
//! place. It must never guess: what nobody knows stays a reference.

use std::sync::Arc;

use crate::{
    Dialect,
    chat::{ChatRequest, Content, Part},
    tree::Json,
};

const OWN: Dialect = Dialect::OpenaiResponses;

/// The messages among these items: id and text.
pub(crate) fn texts_of(items: &[Json]) -> Vec<(String, String)> {
    let text = |item: &Json| {
        let item = item.as_object().filter(|item| item.text("type") == Some("message"))?;
        let parts = item.get("content").and_then(Json::as_array).unwrap_or_default();
        let said: String = parts.iter().filter_map(|part| part.as_object()?.text("text")).collect();
        Some((item.text("id")?.to_owned(), said)).filter(|(_, said)| !said.is_empty())
    };
    items.iter().filter_map(text).collect()
}

/// The request with the texts that it names; `None`: it names none that is known.
pub(crate) fn resolve(
    request: &ChatRequest,
    mut find: impl FnMut(&str) -> Option<Arc<str>>,
) -> Option<ChatRequest> {
    let mut resolved: Option<ChatRequest> = None;
    for (turn, said) in request.turns.iter().enumerate() {
        for (at, part) in said.parts.iter().enumerate() {
            if let Some(text) = named(part).and_then(&mut find) {
                let request = resolved.get_or_insert_with(|| request.clone());
                request.turns[turn].parts[at] = Part::text(&*text);
            }
        }
    }
    resolved
}

fn named(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Foreign { dialect: OWN, value: Json::Object(value), .. }
            if value.text("type") == Some("item_reference") =>
        {
            value.text("id")
        }
        _ => None,
    }
}
