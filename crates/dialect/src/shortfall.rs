//! Listing what an encoder leaves out of turns and parts.
//!
//! In: canonical turns and parts, and the dialect they go to. Out: losses. It must list, and never change anything.

use crate::{
    Dialect, Usage,
    chat::{Candidate, ChatReply, ChatRequest, Citation, Content, Part, Tool, ToolChoice, Turn},
    fields::list_extras,
    loss::Losses,
    translate::{Target, Untranslatable},
    tree::{Json, Object, object},
};

pub(crate) const OPAQUE: &str = "an opaque token of another dialect: nobody else can read it";
pub(crate) const ONLY_OWN: &str = "only its own dialect has such a part";

pub(crate) fn list_turn(turn: &Turn, dialect: Dialect, losses: &mut Losses) {
    list_extras(&turn.extras, dialect, losses);
    if turn.name.is_some() && !matches!(dialect, Dialect::OpenaiChat) {
        losses.add("messages.name", dialect, "its turns have no names");
    }
    for part in &turn.parts {
        list_part(part, dialect, losses);
    }
}

/// The one answer of a reply that goes to a dialect with room for no more.
pub(crate) fn list_other_answers<'r>(
    reply: &'r ChatReply,
    dialect: Dialect,
    losses: &mut Losses,
) -> Option<&'r Candidate> {
    list_extras(&reply.extras, dialect, losses);
    if reply.candidates.len() > 1 {
        losses.add("candidates", dialect, "it gives one answer only: the first was sent");
    }
    let first = reply.candidates.first()?;
    list_extras(&first.extras, dialect, losses);
    Some(first)
}

/// What an answer's usage counts apart, and the dialect in one sum.
pub(crate) fn list_usage(usage: &Usage, dialect: Dialect, losses: &mut Losses) {
    let apart = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => return,
        Dialect::AnthropicMessages => [
            ("usage.audio_tokens", usage.audio_input.saturating_add(usage.audio_output)),
            ("usage.image_tokens", usage.image_input.saturating_add(usage.image_output)),
        ],
        Dialect::GeminiGenerate => {
            [("usage.cache_write_tokens", usage.cache_write), ("usage.cache_write_1h", usage.cache_write_1h)]
        }
    };
    for (field, _) in apart.into_iter().filter(|(_, count)| *count > 0) {
        losses.add(field, dialect, "it counts them in its sums only");
    }
}

/// A part of a request.
pub(crate) fn list_part(part: &Part, dialect: Dialect, losses: &mut Losses) {
    list_answer_part(part, dialect, losses);
    if part.opaque.iter().any(|token| token.dialect != dialect && token.stands_alone()) {
        losses.add("messages.content.signature", dialect, OPAQUE);
    }
    match &part.content {
        Content::ToolResult { parts, .. } => {
            for inner in parts {
                list_part(inner, dialect, losses);
            }
        }
        Content::Text { citations, .. }
            if !citations.is_empty() && dialect != Dialect::OpenaiResponses && !cites(part, dialect) =>
        {
            losses.add(
                "messages.content.citations",
                dialect,
                "sources of an earlier answer are not sent back",
            );
        }
        _ => {}
    }
}

/// The sources are the dialect's own, as they came.
pub(crate) fn cites(part: &Part, dialect: Dialect) -> bool {
    part.extras.0.iter().any(|extra| extra.dialect == dialect && extra.key == "citations")
}

/// A part of an answer: the client keeps its tokens for us.
pub(crate) fn list_answer_part(part: &Part, dialect: Dialect, losses: &mut Losses) {
    list_extras(&part.extras, dialect, losses);
    if part.cache.is_some() && dialect != Dialect::AnthropicMessages {
        losses.add("messages.content.cache_control", dialect, "it caches by itself, without marks");
    }
    if let Content::Foreign { dialect: owner, at, value } = &part.content
        && *owner != dialect
    {
        let kind = value
            .as_object()
            .and_then(|object| object.text("type").or_else(|| object.iter().next().map(|(key, _)| key)));
        losses.add(kind.map_or_else(|| (*at).to_owned(), |kind| format!("{at}.{kind}")), dialect, ONLY_OWN);
    }
}

/// The words of a source, where a dialect names the source alone.
pub(crate) fn list_quote(citation: &Citation, dialect: Dialect, losses: &mut Losses) {
    if citation.quote.as_ref().is_some_and(|quote| !quote.is_empty()) {
        losses.add("content.citations.cited_text", dialect, "it names sources, and does not quote them");
    }
}

/// A part for which a dialect has no place in its answers.
pub(crate) fn lose_part(part: &Part, dialect: Dialect, losses: &mut Losses) {
    let field = match &part.content {
        Content::Image { .. } => "content.image",
        Content::Audio { .. } => "content.audio",
        Content::File { .. } => "content.file",
        Content::ToolResult { .. } => "content.tool_result",
        Content::Foreign { dialect: owner, .. } if *owner == dialect => "content",
        // Told already, or empty.
        Content::Foreign { .. }
        | Content::Text { .. }
        | Content::Reasoning { .. }
        | Content::Refusal { .. }
        | Content::ToolCall { .. } => return,
    };
    losses.add(field, dialect, "its answers have no place for such a part");
}

/// What a custom tool is where tools only take JSON: a function of one text.
pub(crate) fn free_text_schema() -> Json {
    let input = object([("type", "string".into())]);
    object([
        ("type", "object".into()),
        ("properties", object([("input", input.into())]).into()),
        ("required", vec![Json::from("input")].into()),
    ])
    .into()
}

/// The schema of a function without arguments.
pub(crate) fn empty_schema() -> Json {
    object([("type", "object".into()), ("properties", Object::default().into())]).into()
}

/// Where OpenAI's chat has its web search: beside the tools.
pub(crate) const CHAT_SEARCH: &str = "web_search_options";

/// Server tools that look the answer up in the web: every provider has one of its own.
pub(crate) fn searches_web(kind: &str) -> bool {
    kind.starts_with("web_search") || matches!(kind, "googleSearch" | "google_search")
}

/// A web search that stands beside tools of the client's own, none of which must be called: agents offer it always, and
/// work without it. Alone, or wanted, it is what the request is about.
pub(crate) fn may_go_without(tool: &Tool, request: &ChatRequest) -> bool {
    let own = |tool: &Tool| !matches!(tool, Tool::Server { .. });
    let free = matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
    let wanted = request.extras.0.iter().any(|extra| extra.key == "tool_choice");
    matches!(tool, Tool::Server { kind, dialect, .. } if searches_web(kind) && *dialect != Dialect::OpenaiChat)
        && free
        && !wanted
        && request.tools.iter().any(own)
}

/// The choice among the tools that are sent; where there are none it is about nothing, and providers refuse it.
pub(crate) fn tool_choice<'r>(
    request: &'r ChatRequest,
    any: bool,
    dialect: Dialect,
    losses: &mut Losses,
) -> Option<&'r ToolChoice> {
    let choice = request.tool_choice.as_ref()?;
    let forces = matches!(
        choice,
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Subset { required: true, .. }
    );
    if forces && !any {
        losses.add("tool_choice", dialect, "there are no tools to choose from");
    }
    Some(choice).filter(|_| any)
}

/// More stop sequences than the provider takes: it would refuse them, and with fewer the answer would be another one.
pub(crate) fn check_stops(
    request: &ChatRequest,
    most: usize,
    dialect: Dialect,
    reason: &'static str,
) -> Result<(), Untranslatable> {
    if request.stop.len() > most {
        return Err(Untranslatable::Unsupported { field: "stop".to_owned(), dialect, reason });
    }
    Ok(())
}

/// A tool that another provider runs: left out only where the operator said so.
pub(crate) fn refuse_server_tool(
    kind: &str,
    dialect: Dialect,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    let field = format!("tools.{kind}");
    if target.drops_server_tools {
        losses.add(field, dialect, "the tool is run by another provider: it was left out");
        return Ok(());
    }
    let reason = "the tool is run by another provider, and leaving it out would change the answer";
    Err(Untranslatable::Unsupported { field, dialect, reason })
}

/// A call's input as the object that most dialects want. Text that is no object is wrapped, never dropped.
pub(crate) fn input_object(input: &str, custom: bool, dialect: Dialect, losses: &mut Losses) -> Object {
    if custom {
        return object([("input", input.into())]);
    }
    if input.trim().is_empty() {
        return Object::default();
    }
    match Json::parse(input.as_bytes()) {
        Ok(Json::Object(input)) => input,
        _ => {
            losses.add("messages.tool_calls.arguments", dialect, "not a JSON object: sent as text in `_raw`");
            object([("_raw", input.into())])
        }
    }
}

/// A document of plain text that came as base64.
pub(crate) fn decode_text(data: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

/// Plain text for a dialect that takes documents as base64 alone.
pub(crate) fn encode_text(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// OpenAI's limit of a user's name; Claude Code's is twice as long.
const USER_BOUND: usize = 64;

/// The user behind the caller, as OpenAI takes it: too long a name is told by its digest, always the same one.
pub(crate) fn user_name(name: &str, dialect: Dialect, losses: &mut Losses) -> String {
    if name.chars().count() <= USER_BOUND {
        return name.to_owned();
    }
    losses.add("metadata.user_id", dialect, "longer than 64 letters: a digest of it was sent");
    // FNV-1a: it only has to be the same every time, and another one for another user.
    let digest = name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |digest, byte| {
        (digest ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    });
    format!("user-{digest:032x}")
}
