//! From parts to items.
//!
//! In: a turn, or the parts of an answer. Out: items. In a request no token of another provider may stand; in an answer
//! they ride in `encrypted_content`, for the client to bring back.

use std::{cell::LazyCell, collections::HashSet};

use super::content::write_part;
use crate::{
    Dialect,
    chat::{Citation, Content, Opaque, OpaqueKind, Part, Role, Source, Turn},
    fields::put_extras,
    loss::Losses,
    mark,
    openai_responses::namespace,
    shortfall,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiResponses;

/// `customs`: ids of the conversation's calls of custom tools, whose results have a kind of their own.
pub(crate) fn encode_input(
    turn: &Turn,
    customs: &HashSet<&str>,
    items: &mut Vec<Json>,
    losses: &mut Losses,
) -> Result<()> {
    let role = match turn.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => {
            for part in &turn.parts {
                write_result(part, customs, items, losses)?;
            }
            return Ok(());
        }
    };
    let mut message: Vec<&Part> = Vec::new();
    for part in &turn.parts {
        let item = match &part.content {
            Content::ToolCall { .. } => Some(write_call(part)),
            Content::Reasoning { .. } => {
                // Nothing is kept at the provider: what the item itself does not say, it does not know by its id.
                let own = |token: &Opaque| token.dialect == OWN && token.stands_alone();
                if !part.opaque.iter().any(own) && !has_raw_content(part) {
                    losses.add(
                        "messages.reasoning",
                        OWN,
                        "thinking without this provider's token is not sent back",
                    );
                    continue;
                }
                Some(write_reasoning(part, false))
            }
            Content::Foreign { dialect: OWN, at: "input", value: Json::Object(value) } => Some(value.clone()),
            _ => None,
        };
        match item {
            Some(item) => {
                put_message(role, &mut message, items)?;
                items.push(item.into());
            }
            None => message.push(part),
        }
    }
    put_message(role, &mut message, items)
}

fn put_message(role: &str, parts: &mut Vec<&Part>, items: &mut Vec<Json>) -> Result<()> {
    let mut content = Vec::new();
    let mut item = object([("type", "message".into()), ("role", role.into())]);
    for (at, part) in parts.drain(..).enumerate() {
        if at == 0 {
            item.put_some("id", part.opaque_of(OWN, OpaqueKind::Id));
            put_extras(&part.extras, OWN, "input", &mut item);
        }
        if let Some(mut fields) = write_part(part, role == "assistant")? {
            put_extras(&part.extras, OWN, "input.content", &mut fields);
            content.push(fields.into());
        }
    }
    if !content.is_empty() {
        item.put("content", content);
        items.push(item.into());
    }
    Ok(())
}

fn write_call(part: &Part) -> Object {
    let Content::ToolCall { id, name, input, custom } = &part.content else { return Object::default() };
    let (kind, key) = if *custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    let mut item = object([("type", kind.into())]);
    item.put_some("id", part.opaque_of(OWN, OpaqueKind::Id));
    let input = if input.is_empty() && !custom { "{}" } else { input };
    item.put("call_id", id);
    namespace::put_name(name, &mut item);
    item.put(key, input);
    put_extras(&part.extras, OWN, "input", &mut item);
    item
}

/// Thinking in the provider's own words, as those give it out that encrypt nothing.
fn has_raw_content(part: &Part) -> bool {
    part.extras.0.iter().any(|extra| extra.dialect == OWN && extra.key == "content")
}

/// `foreign`: with tokens of other dialects, for a client to keep.
pub(crate) fn write_reasoning(part: &Part, foreign: bool) -> Object {
    let mut item = object([("type", "reasoning".into())]);
    item.put_some("id", part.opaque_of(OWN, OpaqueKind::Id));
    let raw = part.extras.0.iter().any(|extra| extra.dialect == OWN && extra.key == "summary");
    if !raw {
        let text = match &part.content {
            Content::Reasoning { text } => text.as_str(),
            _ => "",
        };
        let content = has_raw_content(part);
        let summary = object([("type", "summary_text".into()), ("text", text.into())]);
        let summary = if text.is_empty() || content { Vec::new() } else { vec![summary.into()] };
        item.put("summary", summary);
    }
    let kept = |token: &&Opaque| token.stands_alone() && (foreign || token.dialect == OWN);
    let token = part.opaque.iter().filter(kept).max_by_key(|token| token.dialect == OWN);
    let token = token.map(|token| mark::wrap(token, OWN));
    item.put_some("encrypted_content", token.or_else(|| foreign.then(|| mark::NO_TOKEN.to_owned())));
    put_extras(&part.extras, OWN, "input.reasoning", &mut item);
    item
}

fn write_result(
    part: &Part,
    customs: &HashSet<&str>,
    items: &mut Vec<Json>,
    losses: &mut Losses,
) -> Result<()> {
    let (call_id, parts, is_error, custom) = match &part.content {
        Content::ToolResult { call_id, parts, is_error, custom, .. } => {
            (call_id, parts, *is_error, *custom || customs.contains(&call_id.as_str()))
        }
        Content::Foreign { dialect: OWN, value, .. } => {
            items.push(value.clone());
            return Ok(());
        }
        _ => return Ok(()),
    };
    let mark = if is_error { "Error: " } else { "" };
    let output = match parts.as_slice() {
        [] => mark.into(),
        [Part { content: Content::Text { text, .. }, extras, .. }] if extras.0.is_empty() => {
            Json::String(format!("{mark}{text}"))
        }
        parts => {
            let mut output = Vec::new();
            if is_error {
                output.push(object([("type", "input_text".into()), ("text", "Error:".into())]).into());
            }
            for part in parts {
                match write_part(part, false)? {
                    Some(mut fields) => {
                        put_extras(&part.extras, OWN, "input.content", &mut fields);
                        output.push(fields.into());
                    }
                    None => losses.add("messages.content.tool_result", OWN, shortfall::ONLY_OWN),
                }
            }
            Json::Array(output)
        }
    };
    let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
    let mut item = object([("type", kind.into())]);
    item.put_some("id", part.opaque_of(OWN, OpaqueKind::Id));
    item.put("call_id", call_id).put("output", output);
    put_extras(&part.extras, OWN, "input", &mut item);
    items.push(item.into());
    Ok(())
}

/// Ids for the items of an answer that has none: the same whenever it is told.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    answer: String,
    next: u64,
}

impl Ids {
    pub(crate) fn new(answer: &str) -> Ids {
        Ids { answer: answer.chars().filter(|c| c.is_ascii_alphanumeric()).collect(), next: 0 }
    }

    pub(crate) fn mint(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}_{}x{}", self.answer, self.next)
    }
}

/// A part of an answer as items: the item itself, and one more where its token needs a place.
pub(crate) fn put_output(part: &Part, ids: &mut Ids, items: &mut Vec<Json>, losses: &mut Losses) {
    shortfall::list_answer_part(part, OWN, losses);
    let mut id =
        |kind: &str| part.opaque_of(OWN, OpaqueKind::Id).map_or_else(|| ids.mint(kind), str::to_owned);
    let mut item = match &part.content {
        Content::Text { text, citations } => {
            citations.iter().for_each(|citation| shortfall::list_quote(citation, OWN, losses));
            let annotations = write_citations(citations, text);
            let own = |key: &str| part.extras.0.iter().any(|extra| extra.dialect == OWN && extra.key == key);
            let mut content = object([("type", "output_text".into()), ("text", text.into())]);
            for (key, list) in [("annotations", annotations), ("logprobs", Vec::new())] {
                if !own(key) {
                    content.put(key, list);
                }
            }
            put_extras(&part.extras, OWN, "input.content", &mut content);
            let mut item = write_message(id("msg"), content);
            put_extras(&part.extras, OWN, "input", &mut item);
            Some(item)
        }
        Content::Refusal { text } => {
            Some(write_message(id("msg"), object([("type", "refusal".into()), ("refusal", text.into())])))
        }
        Content::ToolCall { custom, .. } => {
            let mut call = write_call(part);
            if call.get("id").is_none() {
                call.put("id", id(if *custom { "ctc" } else { "fc" }));
            }
            call.put("status", "completed");
            Some(call)
        }
        Content::Reasoning { .. } => {
            let mut item = write_reasoning(part, true);
            if item.get("id").is_none() {
                item.put("id", id("rs"));
            }
            items.push(item.into());
            return;
        }
        Content::Image { source, .. } => {
            let mut item = write_image(source, id("ig"));
            item.iter_mut().for_each(|item| put_extras(&part.extras, OWN, "input", item));
            item
        }
        Content::Foreign { dialect: OWN, value: Json::Object(value), .. } => Some(value.clone()),
        Content::Audio { .. }
        | Content::File { .. }
        | Content::ToolResult { .. }
        | Content::Foreign { .. } => None,
    };
    if item.is_none() {
        shortfall::lose_part(part, OWN, losses);
    }
    if matches!(&part.content, Content::Text { text, .. } if text.is_empty()) {
        item = None;
    }
    let token = part.opaque.iter().find(|token| token.dialect != OWN && token.stands_alone());
    let token = token.map(|token| {
        let holder = Part::reasoning("", vec![token.clone()]);
        let mut item = write_reasoning(&holder, true);
        item.put("id", ids.mint("rs"));
        Json::Object(item)
    });
    let (before, after) =
        if matches!(part.content, Content::ToolCall { .. }) { (token, None) } else { (None, token) };
    items.extend(before);
    items.extend(item.map(Json::Object));
    items.extend(after);
}

fn write_message(id: String, content: Object) -> Object {
    object([
        ("id", id.into()),
        ("type", "message".into()),
        ("status", "completed".into()),
        ("role", "assistant".into()),
        ("content", vec![content.into()].into()),
    ])
}

/// A picture, as the item of the tool that draws.
pub(crate) fn write_image(source: &Source, id: String) -> Option<Object> {
    let Source::Inline { data, mime } = source else { return None };
    let format = mime.strip_prefix("image/").unwrap_or("png");
    Some(object([
        ("id", id.into()),
        ("type", "image_generation_call".into()),
        ("status", "completed".into()),
        ("output_format", format.into()),
        ("result", data.into()),
    ]))
}

/// The sources of a text, whose characters are counted once.
pub(super) fn write_citations(citations: &[Citation], text: &str) -> Vec<Json> {
    let characters = LazyCell::new(|| text.chars().count() as u64);
    citations.iter().map(|citation| write_citation(citation, || *characters)).collect()
}

/// Flat here, where chat completions nest it.
pub(crate) fn write_citation(citation: &Citation, characters: impl FnOnce() -> u64) -> Json {
    // Without a place of its own it is the whole text that leans on it: clients refuse one without.
    let (start, end) = citation.span.unwrap_or_else(|| (0, characters()));
    object([
        ("type", "url_citation".into()),
        ("start_index", start.into()),
        ("end_index", end.into()),
        ("url", (&citation.url).into()),
        ("title", citation.title.as_ref().unwrap_or(&citation.url).into()),
    ])
    .into()
}
