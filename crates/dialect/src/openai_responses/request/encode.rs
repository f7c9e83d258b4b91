//! From the canonical request to a Responses body.
//!
//! In: a [`ChatRequest`] and its target. Out: the body, and the losses. Nothing is stored at the provider unless the
//! client asked for that in this dialect.

use std::collections::HashSet;

use crate::{
    Dialect,
    chat::{
        ChatRequest, Content, Format, Part, Role, Shown, Thinking, ThinkingMode, Tool, ToolChoice, Turn,
        custom_names,
    },
    fields::{list_extras, put_extras},
    fit::{effort_word, fit},
    loss::Losses,
    openai_responses::{item, namespace},
    shortfall,
    translate::{Target, ThinkingForm, Untranslatable},
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiResponses;

/// The provider refuses a lower limit; clients send 1 to see whether a model answers.
const LEAST_OUTPUT: u64 = 16;

pub(crate) fn encode(request: &ChatRequest, target: &Target<'_>, losses: &mut Losses) -> Result<Object> {
    list_extras(&request.extras, OWN, losses);
    refuse_what_changes_the_answer(request)?;
    let mut body = object([("model", target.model.into())]);
    put_turns(request, &mut body, losses)?;
    put_tools(request, target, &mut body, losses)?;
    let wishes = fit(request, target, OWN, losses);
    if wishes.max_output.is_some_and(|limit| limit < LEAST_OUTPUT) {
        losses.add("max_tokens", OWN, "it writes 16 tokens at least: that limit was sent");
    }
    body.put_some("max_output_tokens", wishes.max_output.map(|limit| limit.max(LEAST_OUTPUT)));
    body.put_some("temperature", wishes.temperature);
    body.put_some("top_p", wishes.top_p);
    losses.add_set(
        [
            ("top_k", wishes.top_k.is_some()),
            ("presence_penalty", wishes.presence_penalty.is_some()),
            ("frequency_penalty", wishes.frequency_penalty.is_some()),
            ("seed", request.seed.is_some()),
            ("cache_control", request.cache.is_some()),
        ],
        OWN,
        "it has no such field",
    );
    put_text(request, &mut body);
    put_reasoning(request, wishes.thinking, target, &mut body, losses);
    let user = request.end_user.as_ref().map(|name| shortfall::user_name(name, OWN, losses));
    body.put_some("safety_identifier", user);
    body.put_some("metadata", request.metadata.as_ref());
    let tier =
        request.service_tier.as_deref().map(|tier| if tier == "standard_only" { "default" } else { tier });
    body.put_some("service_tier", tier);
    body.put_some("prompt_cache_key", request.cache_key.as_ref());
    put_include(request, target, &mut body);
    if request.stream {
        body.put("stream", true);
    }
    let mut options = Object::default();
    put_extras(&request.extras, OWN, "stream_options", &mut options);
    body.put_some("stream_options", Some(options).filter(|options| !options.is_empty()));
    // The dialect's own default is to keep everything.
    let own = |key: &str| {
        request.extras.0.iter().any(|extra| extra.dialect == OWN && extra.at.is_empty() && extra.key == key)
    };
    if !own("store") {
        body.put("store", false);
    }
    for extra in request.extras.0.iter().filter(|extra| extra.dialect == OWN && extra.at.is_empty()) {
        if extra.key != "include" {
            body.put(extra.key.clone(), &extra.value);
        }
    }
    Ok(body)
}

fn refuse_what_changes_the_answer(request: &ChatRequest) -> Result<()> {
    let refuse = |field: &str, reason| {
        Err(Untranslatable::Unsupported { field: field.to_owned(), dialect: OWN, reason })
    };
    if !request.stop.is_empty() {
        return refuse("stop", "it has no stop sequences, and the answer would be longer than asked");
    }
    if request.candidates.is_some_and(|count| count > 1) {
        return refuse("n", "it gives one answer only");
    }
    Ok(())
}

fn put_turns(request: &ChatRequest, body: &mut Object, losses: &mut Losses) -> Result<()> {
    let mut turns = request.turns.as_slice();
    if let Some((first, rest)) = turns.split_first()
        && let Some(text) = instructions(first)
        // JSON mode looks for its word in the input alone.
        && request.format != Some(Format::JsonObject)
    {
        shortfall::list_turn(first, OWN, losses);
        body.put("instructions", text);
        turns = rest;
    }
    let calls = turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.content {
        Content::ToolCall { id, custom: true, .. } => Some(id.as_str()),
        _ => None,
    });
    let customs: HashSet<&str> = calls.collect();
    let mut items = Vec::new();
    if shortfall::lacks_word_json(request, OWN, losses) {
        let words = [("role", "system".into()), ("content", shortfall::JSON_IN_WORDS.into())];
        items.push(object(words).into());
    }
    for turn in turns {
        shortfall::list_turn(turn, OWN, losses);
        item::encode_input(turn, &customs, &mut items, losses)?;
    }
    body.put("input", items);
    Ok(())
}

/// The words of a first system turn, where it is nothing but words.
fn instructions(turn: &Turn) -> Option<String> {
    let word = |part: &Part| match &part.content {
        Content::Text { text, .. } if part.extras.0.iter().all(|extra| extra.dialect != OWN) => {
            Some(text.clone())
        }
        _ => None,
    };
    if turn.role != Role::System {
        return None;
    }
    turn.parts.iter().map(word).collect::<Option<Vec<_>>>().map(|words| words.join("\n\n"))
}

fn put_text(request: &ChatRequest, body: &mut Object) {
    let mut text = Object::default();
    if let Some(format) = &request.format {
        let mut fields = match format {
            Format::Text => object([("type", "text".into())]),
            Format::JsonObject => object([("type", "json_object".into())]),
            Format::JsonSchema { name, description, schema, strict } => {
                let mut fields = object([("type", "json_schema".into())]);
                fields.put("name", name.as_deref().unwrap_or("answer"));
                fields.put_some("description", description.as_ref());
                fields.put("schema", schema);
                // Strict is the default here, and refuses schemas that others take.
                fields.put("strict", strict.unwrap_or(false));
                fields
            }
        };
        put_extras(&request.extras, OWN, "text.format", &mut fields);
        text.put("format", fields);
    }
    text.put_some("verbosity", request.verbosity.as_ref());
    put_extras(&request.extras, OWN, "text", &mut text);
    body.put_some("text", Some(text).filter(|text| !text.is_empty()));
}

fn put_reasoning(
    request: &ChatRequest,
    wish: Thinking,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) {
    let effort = effort_word(wish, target, OWN, losses);
    if target.thinking == ThinkingForm::Never {
        if wish.shown.is_some_and(|shown| shown != Shown::Hidden) {
            losses.add("thinking", OWN, "the model does not think");
        }
        return;
    }
    let mut reasoning = Object::default();
    reasoning.put_some("effort", effort);
    let thinks = matches!(wish.mode, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)));
    let summary = match wish.shown {
        Some(Shown::Auto) => Some("auto"),
        Some(Shown::Concise) => Some("concise"),
        Some(Shown::Detailed) => Some("detailed"),
        Some(Shown::Hidden) => None,
        // In the dialects that say it like this, thinking is read.
        None => thinks.then_some("auto"),
    };
    reasoning.put_some("summary", summary);
    put_extras(&request.extras, OWN, "reasoning", &mut reasoning);
    body.put_some("reasoning", Some(reasoning).filter(|reasoning| !reasoning.is_empty()));
}

/// What must be asked for: probabilities, and the thinking that comes back without a store.
fn put_include(request: &ChatRequest, target: &Target<'_>, body: &mut Object) {
    let own = request.extras.0.iter().find(|extra| extra.dialect == OWN && extra.key == "include");
    let mut include = own.and_then(|extra| extra.value.as_array()).unwrap_or_default().to_vec();
    if let Some(alternatives) = request.logprobs {
        body.put("top_logprobs", alternatives);
        include.push("message.output_text.logprobs".into());
    }
    // A model that does not think has nothing to encrypt, and refuses to be asked.
    if target.thinking != ThinkingForm::Never {
        include.push("reasoning.encrypted_content".into());
    }
    body.put_some("include", Some(include).filter(|include| !include.is_empty()));
}

fn put_tools(
    request: &ChatRequest,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let mut tools = Vec::new();
    for tool in &request.tools {
        if let Some(tool) = write_tool(tool, target, losses)? {
            namespace::put_tool(tool, &mut tools);
        }
    }
    let any = !tools.is_empty();
    body.put_some("tools", Some(tools).filter(|_| any));
    let choice = shortfall::tool_choice(request, any, OWN, losses);
    body.put_some("tool_choice", choice.map(|choice| write_choice(choice, &request.tools)));
    body.put_some("parallel_tool_calls", request.parallel_calls.filter(|_| any));
    Ok(())
}

fn write_tool(tool: &Tool, target: &Target<'_>, losses: &mut Losses) -> Result<Option<Object>> {
    match tool {
        Tool::Function(function) => {
            list_extras(&function.extras, OWN, losses);
            if function.cache.is_some() {
                losses.add("tools.cache_control", OWN, "it caches by itself, without marks");
            }
            let mut fields = object([("type", "function".into()), ("name", (&function.name).into())]);
            fields.put_some("description", function.description.as_ref());
            fields.put("parameters", function.schema.clone().unwrap_or_else(shortfall::empty_schema));
            // Strict is the default here, and refuses schemas that others take.
            fields.put("strict", function.strict.unwrap_or(false));
            put_extras(&function.extras, OWN, "tools", &mut fields);
            Ok(Some(fields))
        }
        Tool::Custom { name, description, format, extras } => {
            list_extras(extras, OWN, losses);
            let mut fields = object([("type", "custom".into()), ("name", name.into())]);
            fields.put_some("description", description.as_ref());
            fields.put_some("format", format.as_ref());
            put_extras(extras, OWN, "tools", &mut fields);
            Ok(Some(fields))
        }
        Tool::Server { dialect: OWN, definition: Json::Object(definition), .. } => {
            Ok(Some(definition.clone()))
        }
        Tool::Server { kind, .. } if shortfall::searches_web(kind) => {
            losses.add("tools.web_search", OWN, "the search is its own: options of the other were not sent");
            Ok(Some(object([("type", "web_search".into())])))
        }
        Tool::Server { kind, .. } => shortfall::refuse_server_tool(kind, OWN, target, losses).map(|()| None),
    }
}

fn write_choice(choice: &ToolChoice, tools: &[Tool]) -> Json {
    let customs = custom_names(tools);
    let named = |name: &String| {
        let custom = customs.contains(name.as_str());
        let kind = if custom { "custom" } else { "function" };
        Json::Object(object([("type", kind.into()), ("name", name.into())]))
    };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Subset { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Json> = names.iter().map(named).collect();
            object([("type", "allowed_tools".into()), ("mode", mode.into()), ("tools", tools.into())]).into()
        }
    }
}
