//! From a messages body to the canonical request.
//!
//! In: the body's tree. Out: a [`ChatRequest`]. What it does not know it must leave in the extras.

use crate::{
    Dialect,
    anthropic_messages::block,
    chat::{
        ChatRequest, Content, Effort, Format, Function, Part, Role, Shown, ThinkingMode, Tool, ToolChoice,
        Turn,
    },
    fields::{Fields, malformed},
    translate::Untranslatable,
    tree::Json,
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::AnthropicMessages;

pub(crate) fn decode(body: Json) -> Result<ChatRequest> {
    let mut fields = Fields::of(body, "")?;
    let mut request = ChatRequest { model: fields.need_text("model")?, ..ChatRequest::default() };
    request.stream = fields.bool("stream")?.unwrap_or(false);
    request.wants_usage = true;
    if let Some(system) = fields.json("system") {
        request.turns.push(Turn::new(Role::System, block::decode_all(system)?));
    }
    let messages = fields.array("messages")?.ok_or_else(|| malformed("messages", "an array"))?;
    for message in messages {
        read_message(Fields::of(message, "messages")?, &mut request.turns)?;
    }
    let begun = request.turns.last().filter(|turn| turn.role == Role::Assistant);
    if begun
        .and_then(|turn| turn.parts.last())
        .is_some_and(|part| matches!(part.content, Content::Text { .. }))
    {
        // Nothing is to be written back: it stands in the conversation, and here alone it is gone on with.
        request.extras.add(OWN, "messages", "prefill", Json::Bool(true));
    }
    request.max_output = fields.count("max_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.top_k = fields.number("top_k")?;
    request.stop = fields.texts("stop_sequences")?;
    request.service_tier = fields.text("service_tier")?;
    request.cache = block::read_cache(&mut fields)?;
    if let Some(mut metadata) = fields.object("metadata", "metadata")? {
        request.end_user = metadata.text("user_id")?;
        metadata.rest(OWN, &mut request.extras);
    }
    read_thinking(&mut fields, &mut request)?;
    read_output(&mut fields, &mut request)?;
    for tool in fields.array("tools")?.unwrap_or_default() {
        request.tools.push(read_tool(tool)?);
    }
    if let Some(choice) = fields.object("tool_choice", "tool_choice")? {
        read_choice(choice, &mut request)?;
    }
    fields.rest(OWN, &mut request.extras);
    Ok(request)
}

/// A user's message with results in it is two turns: the tools', and the user's own words after them.
fn read_message(mut fields: Fields, turns: &mut Vec<Turn>) -> Result<()> {
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(malformed("messages.role", "user, assistant or system")),
    };
    let content = fields.json("content").ok_or_else(|| fields.wrong("content", "a string or an array"))?;
    let parts = block::decode_all(content)?;
    let (results, said): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| matches!(part.content, Content::ToolResult { .. }));
    let only_results = !results.is_empty() && said.is_empty();
    if !results.is_empty() {
        turns.push(Turn::new(Role::Tool, results));
    }
    if !only_results {
        turns.push(Turn::new(role, said));
    }
    if let Some(turn) = turns.last_mut() {
        fields.rest(OWN, &mut turn.extras);
    }
    Ok(())
}

fn read_thinking(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    let Some(mut thinking) = fields.object("thinking", "thinking")? else { return Ok(()) };
    request.thinking.mode = match thinking.need_text("type")?.as_str() {
        "enabled" => Some(match thinking.count("budget_tokens")? {
            Some(budget) => ThinkingMode::Budget(budget),
            None => ThinkingMode::Adaptive,
        }),
        "adaptive" => Some(ThinkingMode::Adaptive),
        "disabled" => Some(ThinkingMode::Off),
        _ => return Err(malformed("thinking.type", "enabled, adaptive or disabled")),
    };
    request.thinking.shown = match thinking.text("display")?.as_deref() {
        Some("summarized") => Some(Shown::Auto),
        Some("omitted") => Some(Shown::Hidden),
        Some(other) => {
            thinking.put_back("display", other.into());
            None
        }
        None => None,
    };
    thinking.rest(OWN, &mut request.extras);
    Ok(())
}

/// `output_config: {effort, format}`, and the older `output_format`.
fn read_output(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    if let Some(format) = fields.object("output_format", "output_format")? {
        request.format = Some(read_format(format, request)?);
    }
    let Some(mut config) = fields.object("output_config", "output_config")? else { return Ok(()) };
    if let Some(effort) = config.text("effort")? {
        match Effort::from_name(&effort) {
            Some(known) => request.thinking.effort = Some(known),
            None => config.put_back("effort", effort.into()),
        }
    }
    if let Some(format) = config.object("format", "output_config.format")? {
        request.format = Some(read_format(format, request)?);
    }
    config.rest(OWN, &mut request.extras);
    Ok(())
}

fn read_format(mut format: Fields, request: &mut ChatRequest) -> Result<Format> {
    if format.need_text("type")? != "json_schema" {
        return Err(format.wrong("type", "json_schema"));
    }
    let schema = format.json("schema").ok_or_else(|| format.wrong("schema", "an object"))?;
    let name = format.text("name")?;
    format.rest(OWN, &mut request.extras);
    Ok(Format::JsonSchema { name, description: None, schema, strict: None })
}

fn read_tool(tool: Json) -> Result<Tool> {
    let mut fields = Fields::of(tool, "tools")?;
    match fields.text("type")? {
        Some(kind) if kind != "custom" => {
            let mut definition = crate::tree::object([("type", (&kind).into())]);
            definition.0.extend(fields.into_object().0);
            Ok(Tool::Server { dialect: OWN, kind, definition: definition.into() })
        }
        _ => {
            let mut function = Function {
                name: fields.need_text("name")?,
                description: fields.text("description")?,
                schema: fields.json("input_schema"),
                strict: fields.bool("strict")?,
                cache: block::read_cache(&mut fields)?,
                ..Function::default()
            };
            fields.rest(OWN, &mut function.extras);
            Ok(Tool::Function(function))
        }
    }
}

fn read_choice(mut choice: Fields, request: &mut ChatRequest) -> Result<()> {
    request.tool_choice = Some(match choice.need_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.need_text("name")?),
        _ => return Err(malformed("tool_choice.type", "auto, any, tool or none")),
    });
    request.parallel_calls = choice.bool("disable_parallel_tool_use")?.map(|disabled| !disabled);
    choice.rest(OWN, &mut request.extras);
    Ok(())
}
