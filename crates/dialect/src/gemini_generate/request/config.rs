//! `generationConfig`: sampling, the form of the answer, thinking.
//!
//! In: the canonical request and its target. Out: the object. Levels and budgets exclude one another: the model decides
//! which of them is sent.

use crate::{
    Dialect,
    chat::{ChatRequest, Effort, Format, Shown, Thinking, ThinkingMode},
    fields::put_extras,
    fit::fit,
    loss::Losses,
    translate::{Target, ThinkingForm},
    tree::{Json, Object},
};

const OWN: Dialect = Dialect::GeminiGenerate;

pub(super) fn write_config(request: &ChatRequest, target: &Target<'_>, losses: &mut Losses) -> Object {
    let mut config = Object::default();
    let wishes = fit(request, target, OWN, losses);
    config.put_some("maxOutputTokens", wishes.max_output);
    config.put_some("temperature", wishes.temperature);
    config.put_some("topP", wishes.top_p);
    config.put_some("topK", wishes.top_k);
    config.put_some("candidateCount", request.candidates);
    let stop: Vec<Json> = request.stop.iter().map(Json::from).collect();
    config.put_some("stopSequences", Some(stop).filter(|stop| !stop.is_empty()));
    config.put_some("presencePenalty", wishes.presence_penalty);
    config.put_some("frequencyPenalty", wishes.frequency_penalty);
    config.put_some("seed", request.seed.as_ref());
    if let Some(alternatives) = request.logprobs {
        config.put("responseLogprobs", true);
        config.put_some("logprobs", Some(alternatives).filter(|count| *count > 0));
    }
    match &request.format {
        None => {}
        Some(Format::Text) => {
            config.put("responseMimeType", "text/plain");
        }
        Some(Format::JsonObject) => {
            config.put("responseMimeType", "application/json");
        }
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            config.put("responseMimeType", "application/json").put("responseJsonSchema", schema);
            losses.add_set(
                [
                    ("response_format.name", name.is_some()),
                    ("response_format.description", description.is_some()),
                    ("response_format.strict", strict.is_some()),
                ],
                OWN,
                "its schemas are named and described by themselves",
            );
        }
    }
    let mut thinking = write_thinking(request, wishes.thinking, target, losses);
    put_extras(&request.extras, OWN, "generationConfig.thinkingConfig", &mut thinking);
    config.put_some("thinkingConfig", Some(thinking).filter(|thinking| !thinking.is_empty()));
    put_extras(&request.extras, OWN, "generationConfig", &mut config);
    config
}

fn write_thinking(request: &ChatRequest, wish: Thinking, target: &Target<'_>, losses: &mut Losses) -> Object {
    let mut thinking = Object::default();
    if target.thinking == ThinkingForm::Never {
        if wish.effort.is_some()
            || matches!(wish.mode, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)))
        {
            losses.add("thinking", OWN, "the model does not think");
        }
        return thinking;
    }
    match (target.thinking, wish.mode, wish.effort) {
        (_, None, None) => {}
        (ThinkingForm::Effort, Some(ThinkingMode::Off), _) => {
            losses.add("thinking", OWN, "the model always thinks: the lowest level was sent");
            thinking.put("thinkingLevel", "MINIMAL");
        }
        (ThinkingForm::Effort, _, effort) => {
            let level = effort.map(|effort| match effort {
                Effort::Minimal => "MINIMAL",
                Effort::Low => "LOW",
                Effort::Medium => "MEDIUM",
                Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
            });
            thinking.put_some("thinkingLevel", level);
        }
        (_, Some(ThinkingMode::Off), _) => {
            thinking.put("thinkingBudget", 0u64);
        }
        (_, Some(ThinkingMode::Budget(budget)), _) => {
            thinking.put("thinkingBudget", budget);
        }
        (_, Some(ThinkingMode::Adaptive) | None, _) => {
            thinking.put("thinkingBudget", crate::tree::Number("-1".to_owned()));
        }
    }
    // Whoever asked to think reads the thoughts, unless it said that it does not.
    let shown = match wish.shown {
        Some(shown) => Some(shown != Shown::Hidden),
        None if thinking.is_empty() || request.thinking.mode == Some(ThinkingMode::Off) => None,
        None => Some(true),
    };
    thinking.put_some("includeThoughts", shown);
    thinking
}
