//! From the canonical request to a chat completions body.
//!
//! In: a [`ChatRequest`] and its target. Out: the body, and the losses. A tool that only another provider runs is
//! refused, never left out: the answer would be another one.

use crate::{
    Dialect,
    chat::{ChatRequest, Format, Function, Shown, Thinking, Tool, ToolChoice, custom_names},
    fields::{list_extras, put_extras},
    fit::{effort_word, fit},
    loss::Losses,
    openai_chat::{message, request::closed},
    shortfall,
    translate::{Replay, Target, Untranslatable},
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

pub(super) const OWN: Dialect = Dialect::OpenaiChat;

/// OpenAI's limit, "Create chat completion"; others who speak it have their own.
const MOST_STOPS: usize = 4;

pub(crate) fn encode(request: &ChatRequest, target: &Target<'_>, losses: &mut Losses) -> Result<Object> {
    list_extras(&request.extras, OWN, losses);
    let mut body = object([("model", target.model.into())]);
    let mut messages = Vec::new();
    for turn in &request.turns {
        message::encode(turn, target, &mut messages, losses)?;
    }
    body.put("messages", messages);
    put_tools(request, target, &mut body, losses)?;

    let limit = if target.plain_chat { "max_tokens" } else { "max_completion_tokens" };
    let wishes = fit(request, target, OWN, losses);
    body.put_some(limit, wishes.max_output);
    body.put_some("temperature", wishes.temperature);
    body.put_some("top_p", wishes.top_p);
    if let Some(top_k) = wishes.top_k {
        // Many providers of this dialect take it; OpenAI itself would refuse the request.
        if target.plain_chat {
            body.put("top_k", top_k);
        } else {
            losses.add("top_k", OWN, "it has no such field");
        }
    }
    body.put_some("presence_penalty", wishes.presence_penalty);
    body.put_some("frequency_penalty", wishes.frequency_penalty);
    body.put_some("seed", request.seed.as_ref());
    if let Some(alternatives) = request.logprobs {
        body.put("logprobs", true);
        body.put_some("top_logprobs", Some(alternatives).filter(|count| *count > 0));
    }
    if !target.plain_chat {
        shortfall::check_stops(request, MOST_STOPS, OWN, "it takes four stop sequences at most")?;
    }
    match request.stop.as_slice() {
        [] => {}
        [one] => {
            body.put("stop", one);
        }
        several => {
            body.put("stop", several.iter().map(Json::from).collect::<Vec<_>>());
        }
    }
    body.put_some("n", request.candidates);
    body.put_some("response_format", request.format.as_ref().map(write_format));
    body.put_some("verbosity", request.verbosity.as_ref());
    put_thinking(request, wishes.thinking, target, &mut body, losses);
    let user = request.end_user.as_ref().map(|name| shortfall::user_name(name, OWN, losses));
    body.put_some(if target.plain_chat { "user" } else { "safety_identifier" }, user);
    body.put_some("metadata", request.metadata.as_ref());
    // Anthropic's word for what OpenAI calls the default.
    let tier =
        request.service_tier.as_deref().map(|tier| if tier == "standard_only" { "default" } else { tier });
    body.put_some("service_tier", tier);
    body.put_some("prompt_cache_key", request.cache_key.as_ref().filter(|_| !target.plain_chat));
    if request.cache.is_some() {
        losses.add("cache_control", OWN, "it caches by itself, without marks");
    }

    if request.stream {
        body.put("stream", true);
    }
    let mut options = Object::default();
    put_extras(&request.extras, OWN, "stream_options", &mut options);
    if request.stream && target.asks_usage {
        // Sluice counts by it, whether the client wants it or not.
        options.put("include_usage", true);
    }
    body.put_some("stream_options", Some(options).filter(|options| !options.is_empty()));
    put_extras(&request.extras, OWN, "", &mut body);
    closed::fit(&mut body, target, losses);
    Ok(body)
}

fn write_format(format: &Format) -> Object {
    match format {
        Format::Text => object([("type", "text".into())]),
        Format::JsonObject => object([("type", "json_object".into())]),
        Format::JsonSchema { name, description, schema, strict } => {
            let mut inner = object([("name", name.as_deref().unwrap_or("answer").into())]);
            inner.put_some("description", description.as_ref());
            inner.put("schema", schema);
            inner.put_some("strict", *strict);
            object([("type", "json_schema".into()), ("json_schema", inner.into())])
        }
    }
}

fn put_thinking(
    request: &ChatRequest,
    thinking: Thinking,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) {
    body.put_some("reasoning_effort", effort_word(thinking, target, OWN, losses));
    let mut own = Object::default();
    put_extras(&request.extras, OWN, "reasoning", &mut own);
    match thinking.shown {
        // The one form of this dialect that can be asked not to show it is the one that carries details.
        Some(Shown::Hidden) if target.replay == Replay::Details => {
            own.put("exclude", true);
        }
        Some(_) => losses.add("thinking.summary", OWN, "it cannot be asked to show thinking, or to hide it"),
        None => {}
    }
    body.put_some("reasoning", Some(own).filter(|own| !own.is_empty()));
}

fn put_tools(
    request: &ChatRequest,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let mut tools = Vec::new();
    for tool in &request.tools {
        if let Tool::Server { dialect: OWN, kind, definition } = tool
            && kind == shortfall::CHAT_SEARCH
        {
            body.put(shortfall::CHAT_SEARCH, definition);
        } else if shortfall::may_go_without(tool, request) {
            losses.add("tools.web_search", OWN, "it has no such tool: the model has the others");
        } else {
            tools.extend(write_tool(tool, target, losses)?.map(Json::Object));
        }
    }
    let any = !tools.is_empty();
    body.put_some("tools", Some(tools).filter(|_| any));
    let choice = shortfall::tool_choice(request, any, OWN, losses);
    let choice = choice.map(|choice| write_choice(choice, &request.tools, target.plain_chat));
    body.put_some("tool_choice", choice);
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
            let mut outer =
                object([("type", "function".into()), ("function", write_function(function).into())]);
            put_extras(&function.extras, OWN, "tools", &mut outer);
            Ok(Some(outer))
        }
        Tool::Custom { name, description, format, extras } => {
            list_extras(extras, OWN, losses);
            if target.plain_chat {
                if format.is_some() {
                    losses.add(
                        "tools.custom.format",
                        OWN,
                        "this provider cannot hold free text to a grammar",
                    );
                }
                let schema = Some(shortfall::free_text_schema());
                let (name, description) = (name.clone(), description.clone());
                let function = Function { name, description, schema, ..Function::default() };
                let function = write_function(&function);
                return Ok(Some(object([("type", "function".into()), ("function", function.into())])));
            }
            let mut custom = object([("name", name.into())]);
            custom.put_some("description", description.as_ref());
            custom.put_some("format", format.as_ref().map(nest));
            put_extras(extras, OWN, "tools.custom", &mut custom);
            Ok(Some(object([("type", "custom".into()), ("custom", custom.into())])))
        }
        Tool::Server { dialect: OWN, definition: Json::Object(definition), .. } => {
            Ok(Some(definition.clone()))
        }
        Tool::Server { kind, .. } => shortfall::refuse_server_tool(kind, OWN, target, losses).map(|()| None),
    }
}

/// A grammar stands one level deeper here than in Responses, whose shape is the canonical one.
fn nest(format: &Json) -> Json {
    match format {
        Json::Object(fields) if fields.text("type") == Some("grammar") => {
            let mut grammar = fields.clone();
            grammar.take("type");
            object([("type", "grammar".into()), ("grammar", grammar.into())]).into()
        }
        other => other.clone(),
    }
}

fn write_function(function: &Function) -> Object {
    let mut fields = object([("name", (&function.name).into())]);
    fields.put_some("description", function.description.as_ref());
    fields.put_some("parameters", function.schema.as_ref());
    fields.put_some("strict", function.strict);
    put_extras(&function.extras, OWN, "tools.function", &mut fields);
    fields
}

fn write_choice(choice: &ToolChoice, tools: &[Tool], plain: bool) -> Json {
    let customs = custom_names(tools);
    let named = |name: &String| {
        let custom = customs.contains(name.as_str());
        let kind = if custom && !plain { "custom" } else { "function" };
        Json::Object(object([("type", kind.into()), (kind, object([("name", name.into())]).into())]))
    };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Subset { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Json> = names.iter().map(named).collect();
            let allowed = object([("mode", mode.into()), ("tools", tools.into())]);
            object([("type", "allowed_tools".into()), ("allowed_tools", allowed.into())]).into()
        }
    }
}
