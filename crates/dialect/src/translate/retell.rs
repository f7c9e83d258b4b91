//! What the user shows in blocks that only Anthropic has, in words that everybody reads.
//!
//! In: a request and the dialect it goes to. Out: the request with search results and documents made of blocks as plain
//! text and pictures, and which fields those were; `None` where there are none, which is the rule. Nothing that the user
//! said may be missing from it.

use crate::{
    Dialect,
    anthropic_messages::block,
    chat::{ChatRequest, Content, Part},
    fields::Fields,
    tree::{Json, Object},
};

const OWN: Dialect = Dialect::AnthropicMessages;

pub(super) fn retell(request: &ChatRequest, dialect: Dialect) -> Option<(ChatRequest, Vec<&'static str>)> {
    let shows = |part: &Part| match &part.content {
        Content::ToolResult { parts, .. } => parts.iter().any(|part| shown(part).is_some()),
        _ => shown(part).is_some(),
    };
    if dialect == OWN || !request.turns.iter().flat_map(|turn| &turn.parts).any(shows) {
        return None;
    }
    let (mut request, mut fields) = (request.clone(), Vec::new());
    for turn in &mut request.turns {
        retell_all(&mut turn.parts, &mut fields);
        for part in &mut turn.parts {
            if let Content::ToolResult { parts, .. } = &mut part.content {
                retell_all(parts, &mut fields);
            }
        }
    }
    Some((request, fields))
}

fn retell_all(parts: &mut Vec<Part>, fields: &mut Vec<&'static str>) {
    for part in std::mem::take(parts) {
        match shown(&part) {
            Some((field, told)) => {
                fields.push(field);
                parts.extend(told);
            }
            None => parts.push(part),
        }
    }
}

/// The parts that say what a block shows, and its path.
fn shown(part: &Part) -> Option<(&'static str, Vec<Part>)> {
    let Content::Foreign { dialect: OWN, value: Json::Object(value), .. } = &part.content else {
        return None;
    };
    let (field, heads, content) = match value.text("type")? {
        "search_result" => ("messages.content.search_result", ["title", "source"], value.get("content")?),
        "document" => {
            let source = value.get("source")?.as_object()?;
            ("messages.content.document", ["title", "context"], source.get("content")?)
        }
        _ => return None,
    };
    let mut told = block::decode_all(content.clone()).ok()?;
    let head: Vec<&str> = heads.into_iter().filter_map(|key| value.text(key)).collect();
    if !head.is_empty() {
        told.insert(0, Part::text(head.join("\n")));
    }
    told.last_mut()?.cache = mark(value);
    Some((field, told))
}

fn mark(block: &Object) -> Option<crate::chat::CacheMark> {
    block::read_cache(&mut Fields::new(block.clone(), "messages.content")).ok().flatten()
}
