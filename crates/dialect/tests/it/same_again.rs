//! Recorded traffic into the canonical form and back into its own dialect: the canonical form is the same again.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use dialect::{
    Accounting, Dialect, Framing,
    chat::{ChatReply, ChatRequest, Content, Opaque, OpaqueKind, Part, Stop, StopReason, Thinking, Tool},
    translate::{
        FromPath, Replay, Target, Telling, ThinkingForm, decode_reply, decode_request, encode_reply,
        encode_request,
    },
    tree::Json,
};

use crate::{
    corpus::{OTHER_LANGUAGES, read_recordings},
    gather::{decode, encode, gather},
};

/// Only OpenRouter takes a picture in a tool's message; elsewhere it follows as the user's.
const PICTURE_IN_RESULT: &str = "openrouter.chat.unary.19e198cfa9";

/// OpenRouter's own ids may be longer than those that OpenAI takes back.
const LONG_ID: &str = "openrouter.chat.unary.a0ae486e64";

/// What an encoder adds or settles by itself, taken out on both sides.
fn settle(mut request: ChatRequest, dialect: Dialect) -> ChatRequest {
    request.wants_usage = true;
    // Functions go out as tools.
    request.old_functions = false;
    request.thinking = Thinking::default();
    if request.tools.is_empty() {
        // A choice of nothing is not sent.
        (request.tool_choice, request.parallel_calls) = (None, None);
    }
    request.extras.0.retain(|extra| extra.key != "store");
    for turn in &mut request.turns {
        for part in &mut turn.parts {
            // Cache marks only go to Anthropic, ids of calls are minted where there are none.
            part.cache = None;
            // The provider's own word for a call without its signature.
            part.opaque.retain(|token| !token.value.starts_with("Y29udGV4dF9lbmdpbmVlcmluZ"));
            if let Content::ToolResult { name, parts, .. } = &mut part.content {
                *name = None;
                parts.iter_mut().for_each(|part| part.cache = None);
            }
        }
        // Thoughts that have neither a token nor words of the provider's own are not sent back, and are listed.
        // To Anthropic, nor is white space alone.
        let blank = |part: &Part| match &part.content {
            Content::Text { text, .. } if dialect == Dialect::AnthropicMessages => text.trim().is_empty(),
            Content::Text { text, .. } => text.is_empty(),
            _ => false,
        };
        turn.parts.retain(|part| !blank(part) || !part.opaque.is_empty());
        let told = |part: &Part| {
            part.opaque.iter().any(Opaque::stands_alone)
                || part.extras.0.iter().any(|extra| extra.key == "content")
        };
        turn.parts.retain(|part| !matches!(part.content, Content::Reasoning { .. }) || told(part));
    }
    request.turns.retain(|turn| !turn.parts.is_empty());
    for tool in &mut request.tools {
        if let Tool::Function(function) = tool {
            (function.strict, function.cache) = (function.strict.filter(|strict| *strict), None);
            function.schema = function.schema.take().filter(|schema| *schema != empty_schema());
        }
    }
    request
}

fn empty_schema() -> Json {
    Json::parse(br#"{"type":"object","properties":{}}"#).unwrap()
}

fn differ<T: std::fmt::Debug>(id: &str, before: &T, after: &T) -> String {
    let (before, after) = (format!("{before:?}"), format!("{after:?}"));
    let at = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    let show = |text: &str| {
        let start = text.floor_char_boundary(at.saturating_sub(120));
        let end = text.floor_char_boundary((at + 200).min(text.len()));
        text[start..end].to_owned()
    };
    format!("{id}:\n  before {}\n  after  {}", show(&before), show(&after))
}

#[test]
fn recorded_requests_are_the_same_again() {
    let Some(recordings) = read_recordings() else { return };
    let (mut requests, mut wrong) = (0, Vec::new());
    for recording in &recordings {
        let body = &recording.record["request"]["body"];
        if !body.is_object()
            || recording.door.operation != dialect::Operation::Chat
            || recording.status >= 400
        {
            continue;
        }
        let path = FromPath { model: "model", stream: false };
        let dialect = recording.door.dialect;
        let before = decode_request(dialect, body.to_string().as_bytes(), path).unwrap();
        let media = body.to_string().contains("esponse") && dialect == Dialect::GeminiGenerate;
        let thinking = if media || before.thinking.effort.is_some() {
            ThinkingForm::Effort
        } else {
            ThinkingForm::Budget
        };
        let old = dialect == Dialect::OpenaiChat && !body["user"].is_null();
        let target = Target {
            model: &before.model,
            max_output: Some(100_000),
            thinking,
            replay: Replay::Details,
            plain_chat: old || !body["top_k"].is_null(),
            mid_system: true,
            ..Target::default()
        };
        let Ok(encoded) = encode_request(dialect, &before, &target) else { continue };
        requests += 1;
        let after = decode_request(dialect, &encoded.body, path).unwrap();
        let (before, after) = (settle(before, dialect), settle(after, dialect));
        if before != after && ![PICTURE_IN_RESULT, LONG_ID].contains(&&*recording.id) {
            wrong.push(differ(&recording.id, &before, &after));
        }
    }
    println!("{requests} requests");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn settle_reply(mut reply: ChatReply, dialect: Dialect) -> ChatReply {
    for candidate in &mut reply.candidates {
        // An empty text says nothing, except with its token.
        for part in &mut candidate.parts {
            // Items are given ids where they had none.
            part.opaque.retain(|token| token.kind != OpaqueKind::Id);
            // A source without a place is all of the text's, and one without a title is called by its address.
            if let Content::Text { text, citations } = &mut part.content {
                for citation in citations {
                    citation.span.get_or_insert((0, text.chars().count() as u64));
                    citation.title.get_or_insert(citation.url.clone());
                }
            }
        }
        // To Anthropic, nor is white space alone.
        let blank = |part: &Part| match &part.content {
            Content::Text { text, .. } if dialect == Dialect::AnthropicMessages => text.trim().is_empty(),
            Content::Text { text, .. } => text.is_empty(),
            _ => false,
        };
        candidate.parts.retain(|part| !blank(part) || !part.opaque.is_empty());
        // In a stream, a token follows the words that it came with.
        for at in (1..candidate.parts.len()).rev() {
            if blank(&candidate.parts[at]) && matches!(candidate.parts[at - 1].content, Content::Text { .. })
            {
                let token = candidate.parts.remove(at).opaque;
                candidate.parts[at - 1].opaque.extend(token);
            }
        }
        // `Other` has no word everywhere, and is listed.
        if let Some(stop) = candidate.stop.as_mut().filter(|stop| stop.reason == StopReason::Other) {
            *stop = Stop::new(StopReason::EndTurn);
        }
    }
    for part in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts) {
        if let Content::ToolCall { input, .. } = &mut part.content
            && (input.is_empty() || dialect != Dialect::OpenaiChat)
        {
            let input_json = dialect::tree::Json::parse(input.as_bytes());
            *input = input_json.map_or_else(|_| "{}".to_owned(), |json| json.to_string());
        }
    }
    reply
}

#[test]
fn recorded_replies_are_the_same_again() {
    let Some(recordings) = read_recordings() else { return };
    let (mut replies, mut wrong) = (0, Vec::new());
    for recording in &recordings {
        let Some(body) = recording.body() else { continue };
        let chat = recording.door.operation == dialect::Operation::Chat && recording.status == 200;
        if !chat || !body.starts_with('{') || body.contains("\"error\":{") {
            continue;
        }
        let dialect = recording.door.dialect;
        let before = decode_reply(dialect, body.as_bytes(), recording.options().accounting).unwrap();
        let encoded = encode_reply(dialect, &before, &Telling::default());
        let after = decode_reply(dialect, &encoded.body, Accounting::Standard).unwrap();
        replies += 1;
        let (before, after) = (settle_reply(before, dialect), settle_reply(after, dialect));
        // A background answer under way has no reason to stop yet.
        if before != after && before.candidates[0].stop.is_some() {
            wrong.push(differ(&recording.id, &before, &after));
        }
    }
    println!("{replies} replies");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_streams_are_the_same_again() {
    let Some(recordings) = read_recordings() else { return };
    let (mut streams, mut wrong) = (0, Vec::new());
    for recording in &recordings {
        let Some(bytes) = recording.stream() else { continue };
        if OTHER_LANGUAGES.iter().any(|(id, _)| *id == recording.id)
            || recording.door.operation != dialect::Operation::Chat
        {
            continue;
        }
        let dialect = recording.door.dialect;
        let before = decode(dialect, Framing::Sse, recording.options().accounting, &[&bytes]);
        let telling = Telling { wants_usage: true, ..Telling::default() };
        let after =
            decode(dialect, Framing::Sse, Accounting::Standard, &[&encode(dialect, &before, &telling)]);
        streams += 1;
        let (before, after) = (settle_reply(gather(&before), dialect), settle_reply(gather(&after), dialect));
        if before != after {
            wrong.push(differ(&recording.id, &before, &after));
        }
    }
    println!("{streams} streams");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
