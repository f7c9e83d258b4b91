//! How an Anthropic model is told to think, and when it must not be.
//!
//! In: the wish, the model's form, the conversation. Out: `thinking`, `output_config.effort`, the limit that goes with
//! them. A request must not be sent that the provider refuses for its thinking alone.

use crate::{
    Dialect,
    chat::{ChatRequest, Content, Effort, OpaqueKind, Role, Shown, Thinking, ThinkingMode, ToolChoice},
    fit::Wishes,
    foreign::BARE,
    loss::Losses,
    translate::{Target, ThinkingForm},
    tree::{Object, object},
};

const OWN: Dialect = Dialect::AnthropicMessages;

/// The limit where the client names none and the model's own is not known: what all of its age and younger write.
const USUAL_OUTPUT: u64 = 8192;

/// The provider's floor.
const LEAST_BUDGET: u64 = 1024;

/// What is left for the answer where the budget would take the whole limit. With the floor it is the least limit of who thinks.
const ROOM: u64 = 1024;

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) thinking: Option<Object>,
    pub(super) effort: Option<&'static str>,
    pub(super) max_tokens: u64,
    /// With thinking on, the provider takes no sampling options.
    pub(super) thinks: bool,
    /// Without thinking, the step under way must not have begun with it.
    pub(super) forgets: bool,
}

pub(super) fn plan(
    request: &ChatRequest,
    wishes: &Wishes<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Plan {
    let wish = wishes.thinking;
    let max_tokens = wishes.max_output.or(target.most()).unwrap_or(USUAL_OUTPUT);
    let mut plan = Plan { max_tokens, ..Plan::default() };
    let mode = wish.mode.or(wish.effort.map(|_| ThinkingMode::Adaptive));
    match mode {
        None => {}
        Some(ThinkingMode::Off) => plan.thinking = Some(object([("type", "disabled".into())])),
        Some(_) if target.thinking == ThinkingForm::Never => {
            losses.add("thinking", OWN, "the model does not think");
        }
        Some(_) if forces_tool(request) => {
            losses.add("thinking", OWN, "a forced tool call cannot think first");
        }
        Some(_) if target.thinking == ThinkingForm::Budget && lacks_signature(request) => {
            losses.add("thinking", OWN, BARE);
        }
        Some(mode) => {
            plan.thinks = true;
            let exact = matches!(request.thinking.mode, Some(ThinkingMode::Budget(_)));
            plan.thinking = Some(write(mode, exact, wish, target, &mut plan, losses));
        }
    }
    if plan.thinking.is_none() && wish.shown.is_some_and(|shown| shown != Shown::Hidden) {
        losses.add("thinking.summary", OWN, "it only thinks when asked, so there is nothing to show");
    }
    let unasked = mode.is_none() && target.thinks_unasked;
    plan.forgets = !plan.thinks && !unasked && !target.always_thinks;
    // Newer models take an effort also without thinking.
    plan.effort = wish
        .effort
        .filter(|_| target.thinking == ThinkingForm::Effort)
        .map(|effort| effort.max(Effort::Low).name());
    plan
}

/// `exact`: the caller named a budget, and not an effort that was made one.
fn write(
    mode: ThinkingMode,
    exact: bool,
    wish: Thinking,
    target: &Target<'_>,
    plan: &mut Plan,
    losses: &mut Losses,
) -> Object {
    let mut thinking = match (target.thinking, mode) {
        (ThinkingForm::Budget, mode) => {
            let budget = match mode {
                ThinkingMode::Budget(budget) => budget,
                _ => Effort::Medium.budget(),
            };
            let mut budget = budget.max(LEAST_BUDGET);
            if plan.max_tokens <= budget {
                // In all four dialects what is thought counts against the limit: whoever sets one pays for no more.
                if plan.max_tokens < LEAST_BUDGET + ROOM {
                    plan.max_tokens = LEAST_BUDGET + ROOM;
                    losses.add(
                        "max_tokens",
                        OWN,
                        "below it the model cannot think: its least limit was sent",
                    );
                }
                let left = plan.max_tokens - ROOM;
                if exact && left < budget {
                    let reason = "the limit of the output leaves less room: less was sent";
                    losses.add("thinking.budget_tokens", OWN, reason);
                }
                budget = budget.min(left);
            }
            object([("type", "enabled".into()), ("budget_tokens", budget.into())])
        }
        _ => object([("type", "adaptive".into())]),
    };
    let display = match wish.shown {
        Some(Shown::Hidden) => Some("omitted"),
        Some(_) => Some("summarized"),
        None => None,
    };
    thinking.put_some("display", display);
    thinking
}

fn forces_tool(request: &ChatRequest) -> bool {
    matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Subset { required: true, .. })
    )
}

/// A call whose result is sent now stands without a thinking block that the provider could verify. What the user says
/// beside the results changes nothing, as in [`crate::foreign`], which judges bodies of this dialect.
fn lacks_signature(request: &ChatRequest) -> bool {
    let Some(answer) = request.turns.iter().rposition(|turn| turn.role == Role::Assistant) else {
        return false;
    };
    let (answer, since) = (&request.turns[answer], &request.turns[answer + 1..]);
    if !since.iter().any(|turn| turn.role == Role::Tool) {
        return false;
    }
    let signed = answer.parts.first().is_some_and(|part| {
        matches!(part.content, Content::Reasoning { .. })
            && [OpaqueKind::Signature, OpaqueKind::Encrypted]
                .into_iter()
                .any(|kind| part.opaque_of(OWN, kind).is_some())
    });
    !signed
}
