//! From the canonical request to a messages body.
//!
//! In: a [`ChatRequest`] and its target. Out: the body, and the losses. A tool that only another provider runs is refused,
//! never left out, unless the operator said so.

use std::collections::HashSet;

use super::{schema, thinking, turns};
use crate::{
    Dialect,
    anthropic_messages::block,
    chat::{ChatRequest, Format, Function, Tool, ToolChoice},
    fields::{list_extras, put_extras},
    fit::{Wishes, fit},
    loss::Losses,
    shortfall,
    translate::{Sampling, Target, Untranslatable},
    tree::{Json, Number, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::AnthropicMessages;

/// The reason of what sampling can do elsewhere.
const NO_SUCH_SAMPLING: &str = "it has no such sampling option";

pub(crate) fn encode(request: &ChatRequest, target: &Target<'_>, losses: &mut Losses) -> Result<Object> {
    list_extras(&request.extras, OWN, losses);
    refuse_what_is_read(request)?;
    let wishes = fit(request, target, OWN, losses);
    let plan = thinking::plan(request, &wishes, target, losses);
    let mut body = object([("model", target.model.into()), ("max_tokens", plan.max_tokens.into())]);
    put_sampling(request, &wishes, plan.thinks, target, &mut body, losses);
    if !request.stop.is_empty() {
        body.put("stop_sequences", request.stop.iter().map(Json::from).collect::<Vec<_>>());
    }
    let mut thinking = plan.thinking;
    if let Some(thinking) = &mut thinking {
        put_extras(&request.extras, OWN, "thinking", thinking);
    }
    body.put_some("thinking", thinking);
    let mut config = Object::default();
    config.put_some("effort", plan.effort);
    put_format(request, target, &mut config, losses)?;
    put_extras(&request.extras, OWN, "output_config", &mut config);
    body.put_some("output_config", Some(config).filter(|config| !config.is_empty()));
    put_account(request, &mut body, losses);
    if request.stream {
        body.put("stream", true);
    }
    put_tools(request, target, &mut body, losses)?;
    // Tools, system, messages: the order in which the cache reads the prompt.
    turns::put(request, target, plan.forgets, &mut body, losses)?;
    put_extras(&request.extras, OWN, "", &mut body);
    Ok(body)
}

/// What a client reads from the answer, and would wait for in vain.
fn refuse_what_is_read(request: &ChatRequest) -> Result<()> {
    let refuse = |field: &str, reason| {
        Err(Untranslatable::Unsupported { field: field.to_owned(), dialect: OWN, reason })
    };
    if request.logprobs.is_some() {
        return refuse("logprobs", "it tells no probabilities");
    }
    if request.candidates.is_some_and(|count| count > 1) {
        return refuse("n", "it gives one answer only");
    }
    if request.stop.iter().any(|stop| stop.trim().is_empty()) {
        return refuse("stop", "its stop sequences must be more than white space");
    }
    Ok(())
}

fn put_sampling(
    request: &ChatRequest,
    wishes: &Wishes<'_>,
    thinks: bool,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) {
    let warm = |number: &Number| number.as_f64().is_some_and(|value| value > 1.0);
    match wishes.temperature {
        Some(_) if thinks => losses.add("temperature", OWN, "a model that thinks takes none"),
        Some(temperature) if warm(temperature) => {
            body.put("temperature", 1u64);
            losses.add("temperature", OWN, "it goes up to 1: 1 was sent");
        }
        temperature => {
            body.put_some("temperature", temperature);
        }
    }
    let low = |number: &Number| number.as_f64().is_some_and(|value| value < 0.95);
    match wishes.top_p {
        Some(top_p) if thinks && low(top_p) => {
            losses.add("top_p", OWN, "a model that thinks takes none below 0.95")
        }
        Some(_) if target.sampling == Sampling::OneOfTwo && body.get("temperature").is_some() => {
            losses.add("top_p", OWN, "the model takes a temperature or this: the temperature was sent");
        }
        top_p => {
            body.put_some("top_p", top_p);
        }
    }
    match wishes.top_k {
        Some(_) if thinks => losses.add("top_k", OWN, "a model that thinks takes none"),
        top_k => {
            body.put_some("top_k", top_k);
        }
    }
    losses.add_set(
        [
            ("presence_penalty", wishes.presence_penalty.is_some()),
            ("frequency_penalty", wishes.frequency_penalty.is_some()),
            ("seed", request.seed.is_some()),
            ("verbosity", request.verbosity.is_some()),
        ],
        OWN,
        NO_SUCH_SAMPLING,
    );
}

fn put_format(
    request: &ChatRequest,
    target: &Target<'_>,
    config: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    match &request.format {
        Some(Format::JsonSchema { .. }) if !target.schemas => {
            return Err(Untranslatable::Unsupported {
                field: "response_format".to_owned(),
                dialect: OWN,
                reason: "this model is too old to be held to a schema",
            });
        }
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            let (schema, changed) = schema::fit(schema);
            let mut format = object([("type", "json_schema".into()), ("schema", schema)]);
            put_extras(&request.extras, OWN, "output_config.format", &mut format);
            config.put("format", format);
            losses.add_set(
                [
                    ("response_format.name", name.is_some()),
                    ("response_format.description", description.is_some()),
                    ("response_format.strict", *strict == Some(false)),
                ],
                OWN,
                "its schemas have neither name nor description, and are always strict",
            );
            losses.add_set([("response_format.schema", changed)], OWN, schema::CLOSED);
        }
        Some(Format::JsonObject) => {
            losses.add(
                "response_format",
                OWN,
                "it has no JSON mode without a schema: the model was asked in words",
            );
        }
        Some(Format::Text) | None => {}
    }
    Ok(())
}

fn put_account(request: &ChatRequest, body: &mut Object, losses: &mut Losses) {
    let mut metadata = Object::default();
    metadata.put_some("user_id", request.end_user.as_ref());
    put_extras(&request.extras, OWN, "metadata", &mut metadata);
    body.put_some("metadata", Some(metadata).filter(|metadata| !metadata.is_empty()));
    if request.metadata.is_some() {
        losses.add("metadata", OWN, "its metadata holds a user's id only");
    }
    match request.service_tier.as_deref() {
        Some("default" | "standard_only") => {
            body.put("service_tier", "standard_only");
        }
        Some("auto") => {
            body.put("service_tier", "auto");
        }
        Some(_) => losses.add("service_tier", OWN, "it has no such tier"),
        None => {}
    }
    body.put_some("cache_control", request.cache.as_ref().map(block::write_cache));
}

fn put_tools(
    request: &ChatRequest,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let subset: Option<HashSet<&str>> = match &request.tool_choice {
        Some(ToolChoice::Subset { names, .. }) => Some(names.iter().map(String::as_str).collect()),
        _ => None,
    };
    let allowed = |tool: &Tool| subset.as_ref().is_none_or(|names| names.contains(tool.name()));
    let mut tools = Vec::new();
    for tool in request.tools.iter().filter(|tool| allowed(tool)) {
        tools.extend(write_tool(tool, target, losses)?.map(Json::Object));
    }
    let choice = shortfall::tool_choice(request, !tools.is_empty(), OWN, losses);
    if tools.is_empty() {
        return Ok(());
    }
    body.put("tools", tools);
    let mut choice = match choice {
        None if request.parallel_calls.is_none() => return Ok(()),
        None | Some(ToolChoice::Auto | ToolChoice::Subset { required: false, .. }) => {
            object([("type", "auto".into())])
        }
        Some(ToolChoice::Required | ToolChoice::Subset { required: true, .. }) => {
            object([("type", "any".into())])
        }
        Some(ToolChoice::None) => object([("type", "none".into())]),
        Some(ToolChoice::Named(name)) => object([("type", "tool".into()), ("name", name.into())]),
    };
    if request.tool_choice != Some(ToolChoice::None) {
        choice.put_some("disable_parallel_tool_use", request.parallel_calls.map(|parallel| !parallel));
    }
    put_extras(&request.extras, OWN, "tool_choice", &mut choice);
    body.put("tool_choice", choice);
    Ok(())
}

fn write_tool(tool: &Tool, target: &Target<'_>, losses: &mut Losses) -> Result<Option<Object>> {
    match tool {
        Tool::Function(function) => Ok(Some(write_function(function, losses))),
        Tool::Custom { name, description, format, extras } => {
            list_extras(extras, OWN, losses);
            if format.is_some() {
                losses.add("tools.custom.format", OWN, "it cannot hold free text to a grammar");
            }
            let mut tool = object([("name", name.into())]);
            tool.put_some("description", description.as_ref());
            tool.put("input_schema", shortfall::free_text_schema());
            Ok(Some(tool))
        }
        Tool::Server { dialect: OWN, definition: Json::Object(definition), .. } => {
            Ok(Some(definition.clone()))
        }
        Tool::Server { kind, .. } if shortfall::searches_web(kind) => {
            losses.add("tools.web_search", OWN, "the search is its own: options of the other were not sent");
            Ok(Some(object([("type", "web_search_20250305".into()), ("name", "web_search".into())])))
        }
        Tool::Server { kind, .. } => shortfall::refuse_server_tool(kind, OWN, target, losses).map(|()| None),
    }
}

fn write_function(function: &Function, losses: &mut Losses) -> Object {
    list_extras(&function.extras, OWN, losses);
    let mut tool = object([("name", (&function.name).into())]);
    tool.put_some("description", function.description.as_ref());
    let mut input = function.schema.clone().unwrap_or_else(shortfall::empty_schema);
    let strict = function.strict.filter(|strict| *strict);
    if strict.is_some() {
        let changed;
        (input, changed) = schema::fit(&input);
        losses.add_set([("tools.strict", changed)], OWN, schema::CLOSED);
    }
    tool.put("input_schema", input);
    tool.put_some("strict", strict);
    tool.put_some("cache_control", function.cache.as_ref().map(block::write_cache));
    put_extras(&function.extras, OWN, "tools", &mut tool);
    tool
}
