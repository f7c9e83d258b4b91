//! From the canonical request to a generateContent body.
//!
//! In: a [`ChatRequest`] and its target. Out: the body, and the losses. Results stand in the order of their calls, and
//! the first call of a step is signed where the model demands it.

use std::collections::HashMap;

use super::config::write_config;
use crate::{
    Dialect,
    chat::{ChatRequest, Content, OpaqueKind, Part, Role, Tool, ToolChoice, Turn},
    fields::{list_extras, put_extras},
    gemini_generate::part,
    loss::Losses,
    shortfall,
    translate::{Target, ThinkingForm, Untranslatable},
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::GeminiGenerate;

/// What the provider itself names for calls that another model made: base64 of `context_engineering_is_the_way_to_go`.
pub(crate) const UNSIGNED: &str = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv";

/// Google, "GenerationConfig".
const MOST_STOPS: usize = 5;

pub(crate) fn encode(request: &ChatRequest, target: &Target<'_>, losses: &mut Losses) -> Result<Object> {
    list_extras(&request.extras, OWN, losses);
    shortfall::check_stops(request, MOST_STOPS, OWN, "it takes five stop sequences at most")?;
    let mut body = Object::default();
    put_turns(request, target, &mut body, losses)?;
    put_tools(request, target, &mut body, losses)?;
    let config = write_config(request, target, losses);
    body.put_some("generationConfig", Some(config).filter(|config| !config.is_empty()));
    losses.add_set(
        [
            ("metadata", request.metadata.is_some()),
            ("user", request.end_user.is_some()),
            (
                "service_tier",
                request.service_tier.as_ref().is_some_and(|tier| tier != "auto" && tier != "default"),
            ),
            ("verbosity", request.verbosity.is_some()),
            ("cache_control", request.cache.is_some()),
        ],
        OWN,
        "it has no such field",
    );
    put_extras(&request.extras, OWN, "", &mut body);
    Ok(body)
}

fn put_turns(
    request: &ChatRequest,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let (leading, conversation) = request.leading();
    let mut system = Vec::new();
    let mut writer = Contents { target, names: HashMap::new(), order: HashMap::new(), contents: Vec::new() };
    for turn in leading {
        shortfall::list_turn(turn, OWN, losses);
        put_said(&turn.parts, &mut system, losses)?;
    }
    for turn in conversation {
        shortfall::list_turn(turn, OWN, losses);
        writer.add(turn, losses)?;
    }
    if writer.contents.is_empty() && conversation.iter().any(|turn| turn.role == Role::User) {
        // A user who says nothing is a user all the same: the provider takes that.
        writer.put("user", vec![object([("text", "".into())]).into()]);
    }
    if writer.contents.is_empty() && !system.is_empty() {
        losses.add("messages.role", OWN, "a conversation needs a user: the system's words were sent as one");
        writer.put("user", std::mem::take(&mut system));
    }
    if !system.is_empty() {
        body.put("systemInstruction", object([("parts", system.into())]));
    }
    let contents = writer.contents.into_iter();
    let contents = contents.map(|mut content| {
        content.results.append(&mut content.parts);
        object([("role", content.role.into()), ("parts", content.results.into())]).into()
    });
    body.put("contents", contents.collect::<Vec<Json>>());
    Ok(())
}

/// What a user or an instruction says.
fn put_said(said: &[Part], parts: &mut Vec<Json>, losses: &mut Losses) -> Result<()> {
    for part in said.iter().filter(|part| !says_nothing(part)) {
        parts.extend(part::encode(part, losses)?.map(Json::Object));
    }
    Ok(())
}

/// Without words a part is refused, unless it carries a token.
fn says_nothing(part: &Part) -> bool {
    matches!(&part.content, Content::Text { text, .. } | Content::Refusal { text } if text.is_empty())
}

/// A content under way, while turns of one side are put together.
#[derive(Default)]
struct Spoken {
    role: &'static str,
    /// They follow their calls at once, whatever was said in between.
    results: Vec<Json>,
    parts: Vec<Json>,
}

/// The contents under way.
struct Contents<'a> {
    target: &'a Target<'a>,
    /// Which tool a call called: results must name it.
    names: HashMap<String, String>,
    /// The calls of the last answer, with their places: results stand in the same order.
    order: HashMap<String, usize>,
    contents: Vec<Spoken>,
}

impl Contents<'_> {
    fn add(&mut self, turn: &Turn, losses: &mut Losses) -> Result<()> {
        let mut parts = Vec::new();
        let role = match turn.role {
            Role::Assistant => {
                self.put_answer(&turn.parts, &mut parts, losses)?;
                "model"
            }
            Role::Tool => {
                let results = self.write_results(&turn.parts, &mut parts, losses)?;
                if !results.is_empty() {
                    self.under_way("user").results.extend(results);
                }
                "user"
            }
            Role::User => {
                put_said(&turn.parts, &mut parts, losses)?;
                "user"
            }
            Role::System | Role::Developer => {
                losses.add(
                    "messages.role",
                    OWN,
                    "instructions in mid-conversation were sent as the user's words",
                );
                let mut said = turn.parts.clone();
                said.retain(|part| !says_nothing(part));
                for part in &mut said {
                    if let Content::Text { text, .. } = &mut part.content {
                        *text = format!("<system>{text}</system>");
                    }
                }
                put_said(&said, &mut parts, losses)?;
                "user"
            }
        };
        self.put(role, parts);
        Ok(())
    }

    fn put(&mut self, role: &'static str, parts: Vec<Json>) {
        if !parts.is_empty() {
            self.under_way(role).parts.extend(parts);
        }
    }

    fn under_way(&mut self, role: &'static str) -> &mut Spoken {
        if self.contents.last().is_none_or(|last| last.role != role) {
            self.contents.push(Spoken { role, ..Spoken::default() });
        }
        let last = self.contents.len() - 1;
        &mut self.contents[last]
    }

    fn put_answer(&mut self, said: &[Part], parts: &mut Vec<Json>, losses: &mut Losses) -> Result<()> {
        // A token that a client kept in a block of its own goes back to the part after it.
        let mut loose: Option<&str> = None;
        let mut first_call = true;
        self.order.clear();
        for part in said {
            let own = part.opaque_of(OWN, OpaqueKind::Signature);
            if own.is_none() && says_nothing(part) {
                continue;
            }
            if let Content::Reasoning { text } = &part.content {
                if text.is_empty() {
                    loose = own.or(loose);
                    continue;
                }
                if own.is_none() {
                    losses.add("messages.reasoning", OWN, "thinking of another provider is not sent back");
                    continue;
                }
            }
            if let Content::ToolCall { id, name, .. } = &part.content {
                self.names.insert(id.clone(), name.clone());
                let place = self.order.len();
                self.order.entry(id.clone()).or_insert(place);
            }
            let Some(mut fields) = part::encode(part, losses)? else { continue };
            let calls = matches!(part.content, Content::ToolCall { .. });
            let mut token = own.or(loose.take());
            if calls && std::mem::take(&mut first_call) && self.target.thinking == ThinkingForm::Effort {
                token = token.or(Some(UNSIGNED));
            }
            fields.put_some("thoughtSignature", token);
            parts.push(fields.into());
        }
        if let Some(token) = loose {
            parts.push(object([("text", "".into()), ("thoughtSignature", token.into())]).into());
        }
        Ok(())
    }

    /// `shown`: gets what a model does not take in a result.
    fn write_results(
        &self,
        results: &[Part],
        shown: &mut Vec<Json>,
        losses: &mut Losses,
    ) -> Result<Vec<Json>> {
        let mut parts = Vec::new();
        let place = |part: &Part| match &part.content {
            Content::ToolResult { call_id, .. } => self.order.get(call_id).copied(),
            _ => None,
        };
        let mut results: Vec<&Part> = results.iter().collect();
        // Of a call that is not known, the result stays behind the others.
        results.sort_by_key(|part| place(part).unwrap_or(usize::MAX));
        for result in results {
            let Content::ToolResult { call_id, name, parts: inner, is_error, .. } = &result.content else {
                continue;
            };
            let name = name.as_ref().or_else(|| self.names.get(call_id)).cloned().unwrap_or_else(|| {
                losses.add("messages.tool_call_id", OWN, "results name their tool, and no call has this id");
                call_id.clone()
            });
            let (mut texts, mut media) = (Vec::new(), Vec::new());
            for part in inner {
                match &part.content {
                    Content::Text { text, .. } => texts.push(text.as_str()),
                    _ => media.extend(part::encode(part, losses)?.map(Json::Object)),
                }
            }
            let response = write_response(&texts.join("\n"), *is_error);
            let mut fields =
                object([("id", call_id.into()), ("name", name.into()), ("response", response.into())]);
            put_extras(&result.extras, OWN, "contents.parts.functionResponse", &mut fields);
            if self.target.thinking == ThinkingForm::Effort {
                fields.put_some("parts", Some(media).filter(|media| !media.is_empty()));
            } else {
                shown.extend(media);
            }
            let mut outer = object([("functionResponse", fields.into())]);
            put_extras(&result.extras, OWN, "contents.parts", &mut outer);
            parts.push(outer.into());
        }
        Ok(parts)
    }
}

/// A result is an object there: one that says it in JSON is sent as it is.
fn write_response(text: &str, is_error: bool) -> Object {
    if is_error {
        return object([("error", text.into())]);
    }
    match Json::parse(text.as_bytes()) {
        Ok(Json::Object(object)) if !matches!(object.0.as_slice(), [(key, _)] if key == "output" || key == "error" || key == "result") => {
            object
        }
        _ => object([("output", text.into())]),
    }
}

fn put_tools(
    request: &ChatRequest,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let (mut functions, mut tools) = (Vec::new(), Vec::new());
    // Where the functions stand among the others.
    let mut place = None;
    for tool in &request.tools {
        let mut fields = object([("name", tool.name().into())]);
        if matches!(tool, Tool::Function(_) | Tool::Custom { .. }) {
            place.get_or_insert(tools.len());
        }
        match tool {
            Tool::Function(function) => {
                list_extras(&function.extras, OWN, losses);
                if function.cache.is_some() {
                    losses.add("tools.cache_control", OWN, "it caches by itself, without marks");
                }
                if function.strict == Some(true) {
                    losses.add("tools.strict", OWN, "it cannot be held to a schema");
                }
                fields.put_some("description", function.description.as_ref());
                fields.put_some("parametersJsonSchema", function.schema.as_ref());
                put_extras(&function.extras, OWN, "tools.functionDeclarations", &mut fields);
                functions.push(fields.into());
            }
            Tool::Custom { description, format, extras, .. } => {
                list_extras(extras, OWN, losses);
                if format.is_some() {
                    losses.add("tools.custom.format", OWN, "it cannot hold free text to a grammar");
                }
                fields.put_some("description", description.as_ref());
                fields.put("parametersJsonSchema", shortfall::free_text_schema());
                functions.push(fields.into());
            }
            Tool::Server { dialect: OWN, definition, .. } => tools.push(definition.clone()),
            Tool::Server { kind, .. } if shortfall::searches_web(kind) => {
                losses.add(
                    "tools.web_search",
                    OWN,
                    "the search is its own: options of the other were not sent",
                );
                tools.push(object([("googleSearch", Object::default().into())]).into());
            }
            Tool::Server { kind, .. } => {
                shortfall::refuse_server_tool(kind, OWN, target, losses)?;
            }
        }
    }
    if let Some(place) = place {
        tools.insert(place, object([("functionDeclarations", functions.into())]).into());
    }
    let any = !tools.is_empty();
    body.put_some("tools", Some(tools).filter(|_| any));
    if request.parallel_calls == Some(false) && any {
        losses.add("parallel_tool_calls", OWN, "it calls as many tools at once as it likes");
    }
    let mut calling = shortfall::tool_choice(request, any, OWN, losses).map(write_choice).unwrap_or_default();
    put_extras(&request.extras, OWN, "toolConfig.functionCallingConfig", &mut calling);
    let mut config = Object::default();
    config.put_some("functionCallingConfig", Some(calling).filter(|calling| !calling.is_empty()));
    put_extras(&request.extras, OWN, "toolConfig", &mut config);
    body.put_some("toolConfig", Some(config).filter(|config| !config.is_empty()));
    Ok(())
}

fn write_choice(choice: &ToolChoice) -> Object {
    let (mode, names) = match choice {
        ToolChoice::Auto => ("AUTO", &[][..]),
        ToolChoice::None => ("NONE", &[][..]),
        ToolChoice::Required => ("ANY", &[][..]),
        ToolChoice::Named(name) => ("ANY", std::slice::from_ref(name)),
        ToolChoice::Subset { names, required: true } => ("ANY", names.as_slice()),
        ToolChoice::Subset { names, required: false } => ("VALIDATED", names.as_slice()),
    };
    let mut calling = object([("mode", mode.into())]);
    let names: Vec<Json> = names.iter().map(Json::from).collect();
    calling.put_some("allowedFunctionNames", Some(names).filter(|names| !names.is_empty()));
    calling
}
