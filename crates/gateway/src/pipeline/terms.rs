//! Step 3a: what may it cost, and is there so much?
//!
//! In: the request, the caller, the plan and the catalog. Out: [`Terms`], with the money set aside. One step in memory: it waits
//! for no disk, and nobody can spend the same twice.

use dialect::{Dialect, Envelope, Operation};
use memchr::memmem;
use store::{
    Nanos,
    price::{Factors, Price},
    purse::{Hold, Short},
};

use crate::{
    catalog::Key,
    charge::{self, Basis, Terms},
    fault::{ClientFault, Fault, Rejection},
    pipeline::{
        caller::Caller,
        inbound::Inbound,
        plan::{Candidate, Lane, Plan},
    },
};

/// Tokens that an answer is assumed to have at most; the few that have more are charged for it as an overrun.
const ASSUMED_OUTPUT: u64 = 4_096;
/// Bytes of a request's body for each token of its prompt. Text in Latin letters has four, in Chinese three; the few with
/// fewer are an overrun.
const BYTES_PER_TOKEN: u64 = 3;
/// A larger body is looked through for what is no text: below it, not even a thumbnail makes a difference.
const LARGE_BODY: usize = 16 * 1024;
/// No model writes more tokens for one answer: who can pay for that needs no limit.
const MOST_OUTPUT: u64 = 131_072;
/// The limit for a strict key's answer where the caller sets none and the key cannot pay for any: most models allow it.
const STRICT_OUTPUT: u64 = 8_192;
/// A shorter answer is none: OpenAI's responses refuse a lower limit.
const SHORTEST_OUTPUT: u64 = 16;
/// Tokens of a conversation that the provider keeps, which nobody here can look at: no model reads more.
const MOST_STORED: u64 = 1_000_000;
/// Bytes of remembered answers, a token each, that a strict key's request has room for where there is money for them: texts that
/// it only names, and the thinking before its tools' calls.
const STRICT_ROOM: u64 = 64 * 1024;
/// How often a strict key's limit is found anew, where other requests take what it was found for.
const TRIES: usize = 3;

/// Sets aside what the request may cost; a strict key's request is made to cost no more than there is.
pub fn agree(inbound: &mut Inbound, caller: &Caller, plan: &mut Plan) -> Result<Terms, Fault> {
    let key = &caller.key;
    // Its usage is told to whoever asks for the answer later, again and again: there is no one request to charge for it.
    if inbound.envelope.background && key.pays() {
        return Err(Fault::Client(ClientFault::Background));
    }
    let free = is_free(inbound);
    if !free && key.pays() {
        // Where another model can answer that has a price, that one will.
        plan.candidates.retain(|candidate| candidate.wanted.price.is_some());
    }
    let basis = match plan.candidates.first() {
        _ if free => Basis::Free,
        Some(first) => Basis::of(first.wanted.price.clone()),
        None => return Err(Fault::Client(ClientFault::Unpriced { model: inbound.model.clone() })),
    };
    let offers = if free { Vec::new() } else { offers(plan, key) };
    let hold = if offers.is_empty() {
        take(key, Nanos::ZERO)?
    } else if key.strict && key.pays() {
        let room = if may_be_reminded(plan, inbound) { STRICT_ROOM } else { 0 };
        hold_strictly(&offers, inbound, key, room)?
    } else {
        let raised = may_be_raised(plan, inbound);
        take(key, expected(&offers, inbound, raised))?
    };
    Ok(Terms { hold, basis, factor: key.group.factor })
}

/// What one candidate asks for its answer.
struct Offer<'p> {
    price: &'p Price,
    factors: Factors,
}

/// One for each model that has a price: by the dearest of its channels.
fn offers<'p>(plan: &'p Plan, key: &Key) -> Vec<Offer<'p>> {
    let mut offers: Vec<Offer<'p>> = Vec::with_capacity(1);
    for candidate in &plan.candidates {
        let Some(price) = candidate.wanted.price.as_deref() else { continue };
        let channel = candidate.channel.discount;
        match offers.iter_mut().find(|offer| std::ptr::eq(offer.price, price)) {
            Some(offer) if offer.factors.channel.0 >= channel.0 => {}
            Some(offer) => offer.factors.channel = channel,
            None => offers.push(Offer { price, factors: Factors { group: key.group.factor, channel } }),
        }
    }
    offers
}

/// Whether a request is one that providers ask nothing for: counting, asking for what is stored, moderating by the model
/// that the provider chooses.
fn is_free(inbound: &Inbound) -> bool {
    match inbound.door.operation {
        Operation::CountTokens | Operation::Stored => true,
        Operation::Moderations => inbound.model.is_empty(),
        _ => false,
    }
}

fn take(key: &Key, needed: Nanos) -> Result<Hold, Fault> {
    Hold::take(&key.account, &key.purse, needed).map_err(|short| refused(short, needed))
}

fn refused(short: Short, needed: Nanos) -> Fault {
    Fault::Rejection(match short {
        Short::Account => Rejection::BalanceShort { needed },
        Short::Key => Rejection::LimitReached { needed },
        Short::Held => Rejection::MoneyHeld { needed },
    })
}

/// Tokens that a request may need of those that are limited.
pub fn tokens(inbound: &mut Inbound) -> u64 {
    let (input, output) = foreseen(inbound);
    if is_free(inbound) { 0 } else { input.saturating_add(output) }
}

/// Tokens that a request is expected to need at most: of its prompt, and of its answers.
fn foreseen(inbound: &mut Inbound) -> (u64, u64) {
    let (text, others) = weigh(inbound, LARGE_BODY);
    let input = text.div_ceil(BYTES_PER_TOKEN) + others;
    let Envelope { max_output, choices, .. } = inbound.envelope;
    let each = max_output.map_or(ASSUMED_OUTPUT, |named| named.min(ASSUMED_OUTPUT));
    let writes = charge::writes(inbound.door.operation);
    (input, if writes { each.saturating_mul(choices) } else { 0 })
}

/// Whether the caller's limit may be raised, to leave a model room to think: by an edit or a translation, to 2,048 tokens.
fn may_be_raised(plan: &Plan, inbound: &Inbound) -> bool {
    let told_by_budget = |candidate: &Candidate| {
        let mut dialects = candidate.channel.translates_to(inbound.door.operation);
        candidate.lane == Lane::Translate && dialects.any(|to| to == Dialect::AnthropicMessages)
    };
    inbound.envelope.max_output.is_some_and(|named| named < ASSUMED_OUTPUT)
        && (plan.candidates.iter().any(|candidate| candidate.wanted.suffix.is_some())
            || plan.candidates.iter().any(told_by_budget) && speaks_of_thinking(&inbound.body))
}

/// Every dialect's words for it have one of these in them. A prompt that has is only held more for.
fn speaks_of_thinking(body: &[u8]) -> bool {
    ["reasoning", "thinking"].into_iter().any(|word| memmem::find(body, word.as_bytes()).is_some())
}

/// Whether what is remembered of earlier answers may be put into it: it is translated, and names a text or brings a result.
fn may_be_reminded(plan: &Plan, inbound: &Inbound) -> bool {
    let words = ["item_reference", "tool_calls", "function_call", "tool_use", "functionCall"];
    let says = |word: &str| memmem::find(&inbound.body, word.as_bytes()).is_some();
    plan.candidates.iter().any(|candidate| candidate.lane == Lane::Translate) && words.into_iter().any(says)
}

/// The most that a request is expected to cost, whoever answers it.
fn expected(offers: &[Offer<'_>], inbound: &mut Inbound, raised: bool) -> Nanos {
    let (input, mut output) = foreseen(inbound);
    if raised {
        output = output.max(ASSUMED_OUTPUT.saturating_mul(inbound.envelope.choices));
    }
    dearest(offers, input, output)
}

fn dearest(offers: &[Offer<'_>], input: u64, output: u64) -> Nanos {
    offers.iter().map(|offer| offer.price.at_most(input, output, 1, offer.factors)).max().unwrap_or_default()
}

/// Bytes of text in a body, and tokens of what else is in it. A body of up to `small` bytes is taken for text.
fn weigh(inbound: &mut Inbound, small: usize) -> (u64, u64) {
    let bytes = inbound.body.len() as u64;
    if inbound.body.len() <= small {
        return (bytes, 0);
    }
    let prompt = inbound.prompt();
    (bytes - prompt.inline_bytes, prompt.inline_tokens)
}

/// Sets aside the most that a request can cost, and limits its output to that. No token is shorter than a byte.
/// `room`: tokens that may be put into it, if they can be paid for.
fn hold_strictly(offers: &[Offer<'_>], inbound: &mut Inbound, key: &Key, room: u64) -> Result<Hold, Fault> {
    let (text, others) = weigh(inbound, 0);
    let stored = if inbound.envelope.stored.is_some() { MOST_STORED } else { 0 };
    let (mut input, choices) = (text + others + stored, inbound.envelope.choices);
    let left = Hold::left(&key.account, &key.purse).unwrap_or(Nanos(i64::MAX));
    let usual = inbound.envelope.max_output.unwrap_or(STRICT_OUTPUT).saturating_mul(choices);
    let room = if dearest(offers, input + room, usual) <= left { room } else { 0 };
    inbound.remembered = Some(room as usize);
    input += room;
    if !charge::writes(inbound.door.operation) {
        return take(key, dearest(offers, input, 0));
    }
    let wanted = inbound.envelope.max_output;
    let cost = |each: u64| dearest(offers, input, each.saturating_mul(choices));
    let mut tries = 0;
    loop {
        let left = Hold::left(&key.account, &key.purse).unwrap_or(Nanos(i64::MAX));
        let within =
            |offer: &Offer<'_>| offer.price.output_within(left, input, choices, offer.factors).unwrap_or(0);
        let affordable = offers.iter().map(within).min().unwrap_or(0);
        let limit = match wanted {
            Some(wanted) => wanted.min(affordable),
            None if affordable >= MOST_OUTPUT => MOST_OUTPUT,
            None => STRICT_OUTPUT.min(affordable),
        };
        let least = wanted.unwrap_or(u64::MAX).min(SHORTEST_OUTPUT);
        let limit = limit.max(least);
        let needed = cost(limit);
        tries += 1;
        match Hold::take(&key.account, &key.purse, needed) {
            Ok(hold) => {
                inbound.output_limit = (wanted.is_some() || limit < MOST_OUTPUT).then_some(limit);
                return Ok(hold);
            }
            // Somebody was quicker: there may be enough for less.
            Err(_) if limit > least && tries < TRIES => {}
            Err(short) => return Err(refused(short, needed)),
        }
    }
}
