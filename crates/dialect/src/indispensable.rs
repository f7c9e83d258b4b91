//! Fields without which a request would ask for something else: no other dialect may get it without them.
//!
//! In: a request and the dialect it goes to. Out: the field that forbids it. They lean on objects that only one provider
//! keeps, or on tools that only it runs.

use crate::{
    Dialect,
    chat::{ChatRequest, Content, Extra, Role},
    fields::join,
    translate::{Target, Untranslatable},
    tree::Json,
};

use Dialect::{
    AnthropicMessages as Anthropic, GeminiGenerate as Gemini, OpenaiChat as Chat,
    OpenaiResponses as Responses,
};

const STORED: &str = "it leans on an object that another provider keeps";
const OWN_TOOLS: &str = "it gives the model tools that only another provider runs";

const COMPACTED: &str = "all of the conversation before it stands in it, for its own provider to read";
const SHOWN: &str = "the user shows something that only its own dialect has";

/// How ids of thinking begin, the provider's and ours.
const THOUGHT: &str = "rs_";

const FIELDS: &[(Dialect, &str, &str)] = &[
    (Responses, "previous_response_id", STORED),
    (Responses, "conversation", STORED),
    (Responses, "prompt", STORED),
    (Responses, "background", "the answer would have to be fetched from the provider later"),
    (Anthropic, "container", STORED),
    (Anthropic, "mcp_servers", OWN_TOOLS),
    (Gemini, "cachedContent", STORED),
    (Chat, "modalities", "the answer would not come in the form that was asked for"),
    (
        Gemini,
        "generationConfig.responseModalities",
        "the answer would not come in the form that was asked for",
    ),
];

/// What is understood of a request, and cannot be told in another dialect's answer: probabilities have a shape of their
/// own in each, and a client that asks for them reads them.
pub(crate) fn check_answer(request: &ChatRequest, from: Dialect, to: Dialect) -> Result<(), Untranslatable> {
    if request.logprobs.is_none() || from == to {
        return Ok(());
    }
    let reason = "the probabilities of its answer are not translated";
    Err(Untranslatable::Unsupported { field: "logprobs".to_owned(), dialect: to, reason })
}

/// Whether saying it is the same as leaving it out.
fn says_nothing(extra: &Extra) -> bool {
    match &extra.value {
        Json::Bool(claim) => !claim,
        // Text alone is what everybody answers with.
        Json::Array(kinds) => {
            kinds.iter().all(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("text")))
        }
        value => value.is_blank(),
    }
}

pub(crate) fn check(
    request: &ChatRequest,
    dialect: Dialect,
    target: &Target<'_>,
) -> Result<(), Untranslatable> {
    for extra in request.extras.0.iter().filter(|extra| extra.dialect != dialect && !says_nothing(extra)) {
        let path = join(extra.at, &extra.key);
        let found = FIELDS.iter().find(|(owner, field, _)| *owner == extra.dialect && *field == path);
        if let Some((_, _, reason)) = found {
            return Err(Untranslatable::Unsupported { field: path, dialect, reason });
        }
    }
    for turn in &request.turns {
        for part in &turn.parts {
            let Content::Foreign { dialect: owner, at, value: Json::Object(value) } = &part.content else {
                continue;
            };
            let kind = value.text("type").unwrap_or_default();
            let reason = match turn.role {
                _ if *owner == dialect || value.is_empty() => continue,
                // Without its earlier thinking a model answers all the same.
                _ if kind == "item_reference"
                    && value.text("id").is_some_and(|id| id.starts_with(THOUGHT)) =>
                {
                    continue;
                }
                _ if kind == "item_reference" => STORED,
                _ if kind.contains("compaction") => COMPACTED,
                // Tools that were found: the model is offered those that the request has.
                _ if kind == "tool_search_output" => continue,
                Role::User => SHOWN,
                Role::Tool if !target.drops_server_tools => SHOWN,
                _ => continue,
            };
            let field = if kind.is_empty() { (*at).to_owned() } else { join(at, kind) };
            return Err(Untranslatable::Unsupported { field, dialect, reason });
        }
    }
    Ok(())
}
