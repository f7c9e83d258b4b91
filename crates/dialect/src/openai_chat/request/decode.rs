//! From a chat completions body to the canonical request.
//!
//! In: the body's tree. Out: a [`ChatRequest`]. What it does not know it must leave in the extras.

use crate::{
    Dialect,
    chat::{
        ChatRequest, Effort, Extras, Format, Function, Role, Shown, Thinking, ThinkingMode, Tool, ToolChoice,
        Turn,
    },
    fields::{Fields, malformed},
    openai_chat::message,
    shortfall,
    translate::{Calls, Untranslatable},
    tree::Json,
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiChat;

pub(crate) fn decode(body: Json) -> Result<ChatRequest> {
    let mut fields = Fields::of(body, "")?;
    let mut request = ChatRequest { model: fields.need_text("model")?, ..ChatRequest::default() };
    request.stream = fields.bool("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options", "stream_options")? {
        request.wants_usage = options.bool("include_usage")?.unwrap_or(false);
        options.rest(OWN, &mut request.extras);
    }
    let messages = fields.array("messages")?.ok_or_else(|| malformed("messages", "an array"))?;
    let mut calls = Calls::default();
    for message in messages {
        add_turn(&mut request.turns, message::decode(message, &mut calls)?);
    }

    let (new, old) = (fields.count("max_completion_tokens")?, fields.count("max_tokens")?);
    if new.zip(old).is_some_and(|(new, old)| new != old) {
        return Err(malformed("max_tokens", "the same as max_completion_tokens, or absent"));
    }
    request.max_output = new.or(old);
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.top_k = fields.number("top_k")?;
    request.presence_penalty = fields.number("presence_penalty")?;
    request.frequency_penalty = fields.number("frequency_penalty")?;
    request.seed = fields.number("seed")?;
    let alternatives = fields.count("top_logprobs")?;
    request.logprobs = match fields.bool("logprobs")? {
        Some(true) => Some(alternatives.unwrap_or(0)),
        _ => alternatives.filter(|count| *count > 0),
    };
    request.stop = fields.texts("stop")?;
    request.candidates = fields.count("n")?;
    request.verbosity = fields.text("verbosity")?;
    request.service_tier = fields.text("service_tier")?;
    request.metadata = fields.json("metadata");
    request.cache_key = fields.text("prompt_cache_key")?;
    request.end_user = fields.renamed_text("safety_identifier", "user")?;
    request.format = read_format(&mut fields)?;
    request.thinking = read_thinking(&mut fields, &mut request.extras)?;
    read_tools(&mut fields, &mut request)?;
    fields.rest(OWN, &mut request.extras);
    Ok(request)
}

/// The results of one turn's calls come as messages of their own, and make one turn.
fn add_turn(turns: &mut Vec<Turn>, turn: Turn) {
    match turns.last_mut() {
        Some(last) if last.role == Role::Tool && turn.role == Role::Tool => last.parts.extend(turn.parts),
        _ => turns.push(turn),
    }
}

fn read_format(fields: &mut Fields) -> Result<Option<Format>> {
    let Some(mut format) = fields.object("response_format", "response_format")? else { return Ok(None) };
    match format.need_text("type")?.as_str() {
        "text" => Ok(Some(Format::Text)),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let mut schema = format.need_object("json_schema", "response_format.json_schema")?;
            Ok(Some(Format::JsonSchema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                strict: schema.bool("strict")?,
                schema: schema.json("schema").unwrap_or_else(|| Json::Object(Default::default())),
            }))
        }
        kind => {
            let mut object = format.into_object();
            object.put("type", kind);
            fields.put_back("response_format", object.into());
            Ok(None)
        }
    }
}

/// `reasoning_effort`, and `reasoning: {effort, max_tokens, enabled}` of OpenRouter.
fn read_thinking(fields: &mut Fields, extras: &mut Extras) -> Result<Thinking> {
    let mut thinking = Thinking::default();
    if let Some(effort) = fields.text("reasoning_effort")? {
        match (effort.as_str(), Effort::from_name(&effort)) {
            ("none", _) => thinking.mode = Some(ThinkingMode::Off),
            (_, Some(known)) => thinking.effort = Some(known),
            _ => fields.put_back("reasoning_effort", effort.into()),
        }
    }
    if let Some(mut reasoning) = fields.object("reasoning", "reasoning")? {
        if let Some(effort) = reasoning.text("effort")? {
            match (effort.as_str(), Effort::from_name(&effort)) {
                ("none", _) => thinking.mode = Some(ThinkingMode::Off),
                (_, Some(known)) => thinking.effort = Some(known),
                _ => reasoning.put_back("effort", effort.into()),
            }
        }
        match (reasoning.count("max_tokens")?, reasoning.bool("enabled")?) {
            (Some(budget), _) => thinking.mode = Some(ThinkingMode::Budget(budget)),
            (None, Some(true)) => thinking.mode = Some(ThinkingMode::Adaptive),
            (None, Some(false)) => thinking.mode = Some(ThinkingMode::Off),
            (None, None) => {}
        }
        if reasoning.bool("exclude")? == Some(true) {
            thinking.shown = Some(Shown::Hidden);
        }
        reasoning.rest(OWN, extras);
    }
    Ok(thinking)
}

fn read_tools(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    for tool in fields.array("tools")?.unwrap_or_default() {
        request.tools.push(read_tool(tool)?);
    }
    // A tool in all but its place.
    if let Some(definition) = fields.json("web_search_options") {
        let kind = shortfall::CHAT_SEARCH.to_owned();
        request.tools.push(Tool::Server { dialect: OWN, kind, definition });
    }
    for function in fields.array("functions")?.unwrap_or_default() {
        request.old_functions = true;
        request.tools.push(Tool::Function(read_function(Fields::of(function, "functions")?)?));
    }
    request.parallel_calls = fields.bool("parallel_tool_calls")?;
    request.tool_choice = match fields.json("tool_choice").or_else(|| fields.json("function_call")) {
        None => None,
        Some(choice) => Some(read_choice(choice)?),
    };
    Ok(())
}

fn read_tool(tool: Json) -> Result<Tool> {
    let mut fields = Fields::of(tool, "tools")?;
    // Mistral's clients leave the type of a function out.
    let kind = fields.text("type")?.unwrap_or_else(|| "function".to_owned());
    match kind.as_str() {
        "function" => {
            let mut function = read_function(fields.need_object("function", "tools.function")?)?;
            function.cache = message::read_cache(&mut fields)?;
            fields.rest(OWN, &mut function.extras);
            Ok(Tool::Function(function))
        }
        "custom" => {
            let mut custom = fields.need_object("custom", "tools.custom")?;
            let (name, description) = (custom.need_text("name")?, custom.text("description")?);
            let format = custom.json("format").map(flatten);
            let mut extras = Default::default();
            custom.rest(OWN, &mut extras);
            Ok(Tool::Custom { name, description, format, extras })
        }
        kind => {
            let mut definition = fields.into_object();
            definition.put("type", kind);
            Ok(Tool::Server { dialect: OWN, kind: kind.to_owned(), definition: definition.into() })
        }
    }
}

/// A grammar stands one level deeper here than in Responses, whose shape is the canonical one.
fn flatten(format: Json) -> Json {
    match format {
        Json::Object(mut format) => match format.take("grammar") {
            Some(Json::Object(grammar)) => {
                format.0.extend(grammar.0);
                format.into()
            }
            _ => format.into(),
        },
        other => other,
    }
}

fn read_function(mut fields: Fields) -> Result<Function> {
    let mut function = Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        schema: fields.json("parameters"),
        strict: fields.bool("strict")?,
        ..Function::default()
    };
    fields.rest(OWN, &mut function.extras);
    Ok(function)
}

fn read_choice(choice: Json) -> Result<ToolChoice> {
    let unknown = || malformed("tool_choice", "auto, none, required, or an object that names tools");
    let mut fields = match choice {
        Json::String(word) => {
            return match word.as_str() {
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "required" | "any" => Ok(ToolChoice::Required),
                _ => Err(unknown()),
            };
        }
        other => Fields::of(other, "tool_choice")?,
    };
    match fields.text("type")?.as_deref() {
        Some("function") => {
            Ok(ToolChoice::Named(fields.need_object("function", "tool_choice.function")?.need_text("name")?))
        }
        Some("custom") => {
            Ok(ToolChoice::Named(fields.need_object("custom", "tool_choice.custom")?.need_text("name")?))
        }
        Some("allowed_tools") => {
            let mut allowed = fields.need_object("allowed_tools", "tool_choice.allowed_tools")?;
            let required = allowed.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for tool in allowed.array("tools")?.unwrap_or_default() {
                match read_choice(tool)? {
                    ToolChoice::Named(name) => names.push(name),
                    _ => return Err(unknown()),
                }
            }
            Ok(ToolChoice::Subset { names, required })
        }
        // The legacy `function_call: {"name": …}`, and Anthropic's words, which xAI takes.
        None | Some("tool") => Ok(ToolChoice::Named(fields.need_text("name")?)),
        Some(_) => Err(unknown()),
    }
}
