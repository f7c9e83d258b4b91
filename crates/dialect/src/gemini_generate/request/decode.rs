//! From a generateContent body to the canonical request.
//!
//! In: the body's tree, and what the path said. Out: a [`ChatRequest`]. What it does not know it must leave in the extras.

use std::mem::take;

use super::schema;
use crate::{
    Dialect,
    chat::{
        ChatRequest, Content, Effort, Format, Function, Part, Role, Shown, ThinkingMode, Tool, ToolChoice,
        Turn,
    },
    fields::{Fields, malformed},
    gemini_generate::part,
    translate::{Calls, FromPath, Untranslatable},
    tree::{Json, Object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::GeminiGenerate;

pub(crate) fn decode(body: Json, path: FromPath<'_>) -> Result<ChatRequest> {
    let mut fields = Fields::of(body, "")?.camel();
    let mut request = ChatRequest {
        model: path.model.to_owned(),
        stream: path.stream,
        wants_usage: true,
        ..ChatRequest::default()
    };
    // Some clients name it again.
    fields.json("model");
    match fields.json("systemInstruction") {
        None => {}
        Some(Json::String(text)) => request.turns.push(Turn::new(Role::System, vec![Part::text(text)])),
        Some(content) => {
            let mut content = Fields::of(content, "systemInstruction")?.camel();
            content.json("role");
            let parts = read_parts(&mut content, &mut Calls::default())?;
            request.turns.push(Turn::new(Role::System, parts));
        }
    }
    let mut calls = Calls::new("gemini");
    let contents = match fields.json("contents") {
        Some(Json::Array(contents)) => contents,
        Some(content @ Json::Object(_)) => vec![content],
        _ => return Err(malformed("contents", "an array")),
    };
    for content in contents {
        read_content(Fields::of(content, "contents")?.camel(), &mut calls, &mut request)?;
    }
    if let Some(config) = fields.object("generationConfig", "generationConfig")? {
        read_config(config.camel(), &mut request)?;
    }
    let tools = match fields.json("tools") {
        Some(Json::Array(tools)) => tools,
        Some(tool @ Json::Object(_)) => vec![tool],
        Some(_) => return Err(malformed("tools", "an array")),
        None => Vec::new(),
    };
    for tool in tools {
        read_tool(Fields::of(tool, "tools")?.camel(), &mut request)?;
    }
    if let Some(config) = fields.object("toolConfig", "toolConfig")? {
        read_choice(config.camel(), &mut request)?;
    }
    fields.rest(OWN, &mut request.extras);
    Ok(request)
}

/// One value of a schema's `enum`, as it is and not as JSON: no other dialect answers in that form.
const BARE_VALUE: &str = "text/x.enum";

fn read_parts(content: &mut Fields, calls: &mut Calls) -> Result<Vec<Part>> {
    let parts = match content.json("parts") {
        Some(Json::Array(parts)) => parts,
        Some(part @ Json::Object(_)) => vec![part],
        None => Vec::new(),
        Some(_) => return Err(content.wrong("parts", "an array")),
    };
    parts.into_iter().map(|part| part::decode(part, calls)).collect()
}

fn read_content(mut content: Fields, calls: &mut Calls, request: &mut ChatRequest) -> Result<()> {
    let role = match content.text("role")?.as_deref() {
        None | Some("user" | "function" | "tool") => Role::User,
        Some("model") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => return Err(malformed("contents.role", "user or model")),
    };
    let parts = read_parts(&mut content, calls)?;
    let (results, said): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| matches!(part.content, Content::ToolResult { .. }));
    let only_results = !results.is_empty() && said.is_empty();
    if !results.is_empty() {
        request.turns.push(Turn::new(Role::Tool, results));
    }
    if !only_results {
        request.turns.push(Turn::new(role, said));
    }
    if let Some(turn) = request.turns.last_mut() {
        content.rest(OWN, &mut turn.extras);
    }
    Ok(())
}

fn read_config(mut config: Fields, request: &mut ChatRequest) -> Result<()> {
    request.max_output = config.count("maxOutputTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = config.number("topK")?;
    request.candidates = config.count("candidateCount")?;
    request.stop = config.texts("stopSequences")?;
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    request.seed = config.number("seed")?;
    if config.peek("responseLogprobs") == Some(&Json::Bool(true)) {
        config.json("responseLogprobs");
        request.logprobs = Some(config.count("logprobs")?.unwrap_or(0));
    }
    request.format = read_format(&mut config)?;
    if let Some(thinking) = config.object("thinkingConfig", "generationConfig.thinkingConfig")? {
        read_thinking(thinking.camel(), request)?;
    }
    config.rest(OWN, &mut request.extras);
    Ok(())
}

fn read_format(config: &mut Fields) -> Result<Option<Format>> {
    let mime = config.text("responseMimeType")?;
    if mime.as_deref() == Some(BARE_VALUE) {
        config.put_back("responseMimeType", BARE_VALUE.into());
        return Ok(None);
    }
    let schema = match config.json("responseJsonSchema") {
        Some(schema) => Some(schema),
        None => config.json("responseSchema").map(schema::read),
    };
    Ok(match (mime.as_deref(), schema) {
        (_, Some(schema)) => Some(Format::JsonSchema { name: None, description: None, schema, strict: None }),
        (Some("application/json"), None) => Some(Format::JsonObject),
        (Some("text/plain"), None) => Some(Format::Text),
        (Some(other), None) => {
            config.put_back("responseMimeType", other.into());
            None
        }
        (None, None) => None,
    })
}

fn read_thinking(mut thinking: Fields, request: &mut ChatRequest) -> Result<()> {
    request.thinking.shown = match thinking.bool("includeThoughts")? {
        Some(true) => Some(Shown::Auto),
        Some(false) => Some(Shown::Hidden),
        None => None,
    };
    request.thinking.mode = match thinking.number("thinkingBudget")? {
        None => None,
        Some(number) if number.as_str() == "-1" => Some(ThinkingMode::Adaptive),
        Some(number) => match number.as_u64() {
            Some(0) => Some(ThinkingMode::Off),
            Some(budget) => Some(ThinkingMode::Budget(budget)),
            None => return Err(thinking.wrong("thinkingBudget", "a whole number, or -1")),
        },
    };
    if let Some(level) = thinking.text("thinkingLevel")? {
        match Effort::from_name(&level) {
            Some(effort) => request.thinking.effort = Some(effort),
            None if level.starts_with("THINKING_LEVEL_") => {}
            None => thinking.put_back("thinkingLevel", level.into()),
        }
    }
    thinking.rest(OWN, &mut request.extras);
    Ok(())
}

fn read_tool(mut tool: Fields, request: &mut ChatRequest) -> Result<()> {
    for function in tool.array("functionDeclarations")?.unwrap_or_default() {
        let mut fields = Fields::of(function, "tools.functionDeclarations")?.camel();
        // One of the two is allowed; the other one is left, and listed.
        let schema = match fields.json("parametersJsonSchema") {
            Some(schema) => Some(schema),
            None => fields.json("parameters").map(schema::read),
        };
        let mut function = Function {
            name: fields.need_text("name")?,
            description: fields.text("description")?.filter(|text| !text.is_empty()),
            schema,
            ..Function::default()
        };
        fields.rest(OWN, &mut function.extras);
        request.tools.push(Tool::Function(function));
    }
    for (kind, value) in tool.into_object().0 {
        let mut definition = Object::default();
        definition.put(kind.clone(), value);
        let (kind, definition) = (kind.into_owned(), definition.into());
        request.tools.push(Tool::Server { dialect: OWN, kind, definition });
    }
    Ok(())
}

fn read_choice(mut config: Fields, request: &mut ChatRequest) -> Result<()> {
    let at = "toolConfig.functionCallingConfig";
    if let Some(calling) = config.object("functionCallingConfig", at)? {
        let mut calling = calling.camel();
        let mut names = calling.texts("allowedFunctionNames")?;
        let mode = calling.text("mode")?.unwrap_or_default().to_ascii_uppercase();
        request.tool_choice = match (mode.as_str(), names.len()) {
            ("AUTO", _) => Some(ToolChoice::Auto),
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", 0) => Some(ToolChoice::Required),
            ("ANY", 1) => names.pop().map(ToolChoice::Named),
            ("ANY", _) => Some(ToolChoice::Subset { names: take(&mut names), required: true }),
            ("VALIDATED", 0) => {
                calling.put_back("mode", "VALIDATED".into());
                None
            }
            ("VALIDATED", _) => Some(ToolChoice::Subset { names: take(&mut names), required: false }),
            ("" | "MODE_UNSPECIFIED", _) => None,
            _ => {
                return Err(malformed(
                    "toolConfig.functionCallingConfig.mode",
                    "AUTO, ANY, NONE or VALIDATED",
                ));
            }
        };
        if !names.is_empty() {
            // The mode has no use for them.
            calling.put_back("allowedFunctionNames", Json::Array(names.iter().map(Json::from).collect()));
        }
        calling.rest(OWN, &mut request.extras);
    }
    config.rest(OWN, &mut request.extras);
    Ok(())
}
