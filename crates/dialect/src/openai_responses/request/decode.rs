//! From a Responses body to the canonical request.
//!
//! In: the body's tree. Out: a [`ChatRequest`]. What it does not know it must leave in the extras.

use crate::{
    Dialect,
    chat::{ChatRequest, Effort, Format, Function, Part, Role, Shown, ThinkingMode, Tool, ToolChoice, Turn},
    fields::{Fields, malformed},
    openai_responses::{
        item::{self, Kind},
        namespace,
    },
    translate::Untranslatable,
    tree::{Json, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiResponses;

/// What Sluice asks for by itself.
const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

pub(crate) fn decode(body: Json) -> Result<ChatRequest> {
    let mut fields = Fields::of(body, "")?;
    let mut request = ChatRequest { model: fields.need_text("model")?, ..ChatRequest::default() };
    request.stream = fields.bool("stream")?.unwrap_or(false);
    request.wants_usage = true;
    if let Some(options) = fields.object("stream_options", "stream_options")? {
        options.rest(OWN, &mut request.extras);
    }
    match fields.json("instructions") {
        None => {}
        Some(Json::String(text)) => request.turns.push(Turn::new(Role::System, vec![Part::text(text)])),
        Some(_) => return Err(fields.wrong("instructions", "a string")),
    }
    match fields.json("input") {
        None => {}
        Some(Json::String(text)) => request.turns.push(Turn::new(Role::User, vec![Part::text(text)])),
        Some(Json::Array(items)) => {
            for item in items {
                let (kind, parts) = item::decode(item)?;
                add_item(kind, parts, &mut request.turns);
            }
        }
        Some(_) => return Err(fields.wrong("input", "a string or an array of items")),
    }
    request.max_output = fields.count("max_output_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.service_tier = fields.text("service_tier")?;
    request.metadata = fields.json("metadata");
    request.cache_key = fields.text("prompt_cache_key")?;
    request.end_user = fields.renamed_text("safety_identifier", "user")?;
    read_include(&mut fields, &mut request)?;
    read_text(&mut fields, &mut request)?;
    read_reasoning(&mut fields, &mut request)?;
    for tool in fields.array("tools")?.unwrap_or_default() {
        match tool.as_object().filter(|tool| tool.text("type") == Some("namespace")) {
            Some(group) if namespace::is_callable(group) => {
                let mut fields = Fields::of(tool, "tools")?;
                fields.json("type");
                request.tools.extend(namespace::read_group(fields)?);
            }
            _ => request.tools.push(read_tool(tool)?),
        }
    }
    request.parallel_calls = fields.bool("parallel_tool_calls")?;
    if let Some(choice) = fields.json("tool_choice") {
        match read_choice(&choice)? {
            Some(choice) => request.tool_choice = Some(choice),
            None => fields.put_back("tool_choice", choice),
        }
    }
    fields.rest(OWN, &mut request.extras);
    Ok(request)
}

/// Calls and thinking stand beside the messages; together they are one turn.
fn add_item(kind: Kind, parts: Vec<Part>, turns: &mut Vec<Turn>) {
    let (role, joins) = match kind {
        Kind::Message(Role::Assistant) | Kind::Deed => (Role::Assistant, true),
        Kind::Result => (Role::Tool, true),
        Kind::Message(role) => (role, false),
    };
    match turns.last_mut() {
        Some(last) if joins && last.role == role => last.parts.extend(parts),
        _ => turns.push(Turn::new(role, parts)),
    }
}

fn read_include(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    let alternatives = fields.count("top_logprobs")?;
    let mut include = fields.texts("include")?;
    let probabilities = include.iter().any(|name| name == LOGPROBS);
    include.retain(|name| name != LOGPROBS && name != ENCRYPTED);
    if !include.is_empty() {
        fields.put_back("include", include.iter().map(Json::from).collect::<Vec<_>>().into());
    }
    request.logprobs = match alternatives {
        Some(count) if count > 0 || probabilities => Some(count),
        None if probabilities => Some(0),
        _ => None,
    };
    Ok(())
}

fn read_text(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    let Some(mut text) = fields.object("text", "text")? else { return Ok(()) };
    request.verbosity = text.text("verbosity")?;
    if let Some(mut format) = text.object("format", "text.format")? {
        request.format = Some(match format.need_text("type")?.as_str() {
            "text" => Format::Text,
            "json_object" => Format::JsonObject,
            "json_schema" => Format::JsonSchema {
                name: format.text("name")?,
                description: format.text("description")?,
                schema: format.json("schema").ok_or_else(|| format.wrong("schema", "an object"))?,
                strict: format.bool("strict")?,
            },
            _ => return Err(format.wrong("type", "text, json_object or json_schema")),
        });
        format.rest(OWN, &mut request.extras);
    }
    text.rest(OWN, &mut request.extras);
    Ok(())
}

fn read_reasoning(fields: &mut Fields, request: &mut ChatRequest) -> Result<()> {
    let Some(mut reasoning) = fields.object("reasoning", "reasoning")? else { return Ok(()) };
    if let Some(effort) = reasoning.text("effort")? {
        match (effort.as_str(), Effort::from_name(&effort)) {
            ("none", _) => request.thinking.mode = Some(ThinkingMode::Off),
            (_, Some(known)) => request.thinking.effort = Some(known),
            _ => reasoning.put_back("effort", effort.into()),
        }
    }
    let (new, old) = (reasoning.text("summary")?, reasoning.text("generate_summary")?);
    if let Some(summary) = new.or(old) {
        match summary.as_str() {
            "auto" => request.thinking.shown = Some(Shown::Auto),
            "concise" => request.thinking.shown = Some(Shown::Concise),
            "detailed" => request.thinking.shown = Some(Shown::Detailed),
            // Codex says this for nothing.
            "none" => request.thinking.shown = Some(Shown::Hidden),
            _ => reasoning.put_back("summary", summary.into()),
        }
    }
    reasoning.rest(OWN, &mut request.extras);
    Ok(())
}

pub(in crate::openai_responses) fn read_tool(tool: Json) -> Result<Tool> {
    let mut fields = Fields::of(tool, "tools")?;
    let kind = fields.need_text("type")?;
    match kind.as_str() {
        "function" => {
            let mut function = Function {
                name: fields.need_text("name")?,
                description: fields.text("description")?,
                schema: fields.json("parameters"),
                strict: fields.bool("strict")?,
                ..Function::default()
            };
            fields.rest(OWN, &mut function.extras);
            Ok(Tool::Function(function))
        }
        "custom" => {
            let (name, description) = (fields.need_text("name")?, fields.text("description")?);
            let format = fields.json("format");
            let mut extras = Default::default();
            fields.rest(OWN, &mut extras);
            Ok(Tool::Custom { name, description, format, extras })
        }
        _ => {
            let mut definition = object([("type", (&kind).into())]);
            definition.0.extend(fields.into_object().0);
            Ok(Tool::Server { dialect: OWN, kind, definition: definition.into() })
        }
    }
}

/// `None`: a choice of a server tool.
fn read_choice(choice: &Json) -> Result<Option<ToolChoice>> {
    let unknown = || malformed("tool_choice", "auto, none, required, or an object that names tools");
    let object = match choice {
        Json::String(word) => {
            return match word.as_str() {
                "auto" => Ok(Some(ToolChoice::Auto)),
                "none" => Ok(Some(ToolChoice::None)),
                "required" => Ok(Some(ToolChoice::Required)),
                _ => Err(unknown()),
            };
        }
        other => other.as_object().ok_or_else(unknown)?,
    };
    match object.text("type") {
        Some("function" | "custom") => {
            Ok(Some(ToolChoice::Named(object.text("name").ok_or_else(unknown)?.to_owned())))
        }
        Some("allowed_tools") => {
            let tools = object.get("tools").and_then(Json::as_array).unwrap_or_default();
            let names: Option<Vec<String>> =
                tools.iter().map(|tool| tool.as_object()?.text("name").map(str::to_owned)).collect();
            let required = object.text("mode") == Some("required");
            Ok(names.map(|names| ToolChoice::Subset { names, required }))
        }
        Some(_) => Ok(None),
        None => Err(unknown()),
    }
}
