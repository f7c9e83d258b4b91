//! A request's wishes, as far as its model takes them.
//!
//! In: a request, and what is known of the model. Out: the wishes that can be sent, and the losses. Only what differs between
//! models stands here; what a dialect has no place for is its encoder's affair. It must never look at the model's name.

use crate::{
    Dialect,
    chat::{ChatRequest, Effort, Thinking, ThinkingMode},
    loss::Losses,
    translate::{Sampling, Target, ThinkingForm},
    tree::Number,
};

/// What an encoder writes in place of the request's own.
pub(crate) struct Wishes<'r> {
    pub(crate) max_output: Option<u64>,
    pub(crate) temperature: Option<&'r Number>,
    pub(crate) top_p: Option<&'r Number>,
    pub(crate) top_k: Option<&'r Number>,
    pub(crate) presence_penalty: Option<&'r Number>,
    pub(crate) frequency_penalty: Option<&'r Number>,
    /// Where the model is told by effort, the effort is one that it knows; where by budget, the budget is one.
    pub(crate) thinking: Thinking,
}

pub(crate) fn fit<'r>(
    request: &'r ChatRequest,
    target: &Target<'_>,
    dialect: Dialect,
    losses: &mut Losses,
) -> Wishes<'r> {
    let mut sampled = |field: &'static str, wish: &'r Option<Number>, usual: f64| {
        let wish = wish.as_ref()?;
        if target.sampling != Sampling::Nothing {
            return Some(wish);
        }
        if wish.as_f64() != Some(usual) {
            losses.add(field, dialect, "the model takes no sampling options");
        }
        None
    };
    Wishes {
        temperature: sampled("temperature", &request.temperature, 1.0),
        top_p: sampled("top_p", &request.top_p, 1.0),
        top_k: sampled("top_k", &request.top_k, 0.0),
        presence_penalty: sampled("presence_penalty", &request.presence_penalty, 0.0),
        frequency_penalty: sampled("frequency_penalty", &request.frequency_penalty, 0.0),
        max_output: limit(request, target, dialect, losses),
        thinking: thinking(request.thinking, target, dialect, losses),
    }
}

fn limit(request: &ChatRequest, target: &Target<'_>, dialect: Dialect, losses: &mut Losses) -> Option<u64> {
    if let (Some(wanted), Some(most)) = (request.max_output, target.max_output)
        && wanted > most
    {
        losses.add("max_tokens", dialect, "the model writes no more than its own limit, which was sent");
    }
    let wanted = request.max_output.or(target.ceiling)?;
    Some(target.most().map_or(wanted, |most| wanted.min(most)))
}

fn thinking(wish: Thinking, target: &Target<'_>, dialect: Dialect, losses: &mut Losses) -> Thinking {
    let openai = matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    if target.thinking == ThinkingForm::Never {
        return wish;
    }
    let mut fitted = wish;
    let (least, most) = target.budgets;
    let by_effort = openai || target.thinking == ThinkingForm::Effort;
    if wish.mode == Some(ThinkingMode::Off) {
        if target.always_thinks {
            losses.add("thinking", dialect, "the model always thinks: the least was sent");
            fitted.mode = Some(ThinkingMode::Budget(least)).filter(|_| !by_effort);
            fitted.effort = target.efforts.first().copied().filter(|_| by_effort);
        }
        return fitted;
    }
    if !by_effort {
        fitted.mode = match (wish.mode, wish.effort) {
            (Some(ThinkingMode::Budget(budget)), _) => {
                let nearest = budget.clamp(least, most);
                if nearest != budget {
                    let reason = "outside of what the model takes: the nearest budget was sent";
                    losses.add("thinking.budget_tokens", dialect, reason);
                }
                Some(ThinkingMode::Budget(nearest))
            }
            (_, Some(effort)) => Some(ThinkingMode::Budget(effort.budget().clamp(least, most))),
            (mode, None) => mode,
        };
        return fitted;
    }
    if matches!(wish.mode, Some(ThinkingMode::Budget(_))) {
        let reason = "it knows efforts, not budgets: the nearest effort was sent";
        losses.add("thinking.budget_tokens", dialect, reason);
    }
    let effort = match (wish.mode, wish.effort) {
        (_, Some(effort)) => effort,
        (Some(ThinkingMode::Budget(budget)), None) => Effort::of_budget(budget),
        (Some(ThinkingMode::Adaptive), None) if openai && !target.always_thinks => {
            losses.add("thinking", dialect, "it cannot be told to think as much as it likes");
            return fitted;
        }
        _ => return fitted,
    };
    let known = target.efforts;
    // Hardly at all is nearer to nothing than to much.
    let much = known.first().is_some_and(|least| *least > Effort::Low);
    if effort == Effort::Minimal && much && !target.always_thinks {
        losses.add("reasoning_effort", dialect, "the model thinks much or not at all: the nearer was sent");
        return Thinking { mode: Some(ThinkingMode::Off), effort: None, ..fitted };
    }
    // The least that is no smaller, else the most.
    fitted.effort = known.iter().find(|known| **known >= effort).or(known.last()).copied();
    match fitted.effort {
        None => losses.add("reasoning_effort", dialect, "the model cannot be told how much to think"),
        Some(nearest) if nearest != effort => {
            losses.add(
                "reasoning_effort",
                dialect,
                "the model does not know that effort: the nearest was sent",
            );
        }
        Some(_) => {}
    }
    fitted
}

/// How OpenAI's dialects say it; for a model that does not think nothing is said.
pub(crate) fn effort_word(
    wish: Thinking,
    target: &Target<'_>,
    dialect: Dialect,
    losses: &mut Losses,
) -> Option<&'static str> {
    if target.thinking == ThinkingForm::Never {
        let thinks = matches!(wish.mode, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)));
        if thinks || wish.mode.is_none() && wish.effort.is_some() {
            losses.add("thinking", dialect, "the model does not think");
        }
        return None;
    }
    match wish.mode {
        Some(ThinkingMode::Off) => Some("none"),
        _ => wish.effort.map(Effort::name),
    }
}
