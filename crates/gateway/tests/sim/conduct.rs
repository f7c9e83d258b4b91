//! How the gateway behaves towards its upstreams: how often, when, with what, and who may go at once.

use std::collections::HashMap;

use gateway::{ending::Ending, settlement::Settlement};
use serde_json::Value;

use crate::{
    ask::{Ask, KeyUse},
    limits,
    model::{Fault, Maker, Outcome, Story},
    setup::{Channel, RENAMED},
    upstream::Call,
    world::World,
};

/// Of one request.
pub(crate) fn of_one(story: &Story<'_>, settlement: &Settlement, wrong: &mut Vec<String>) {
    let (setup, ask, calls) = (story.setup, story.ask, &story.calls);
    if calls.len() > setup.attempts_max {
        wrong.push(format!("{} calls", calls.len()));
    }
    let servable = ask.servable(setup);
    let asked: Vec<(usize, &str)> = calls
        .iter()
        .zip(&settlement.attempts)
        .map(|(call, attempt)| (call.channel, attempt.model.as_deref().unwrap_or(&ask.model)))
        .collect();
    let places: Vec<_> =
        asked.iter().map(|(_, model)| servable.iter().position(|may| may == model)).collect();
    // To the channels of a model that were passed over for the next ones it may come back.
    let firsts: Vec<_> = (0..places.len())
        .filter(|nth| !places[..*nth].contains(&places[*nth]))
        .map(|nth| places[nth])
        .collect();
    if places.contains(&None) || !firsts.is_sorted() {
        wrong.push(format!("asked for {asked:?}, should have been for {servable:?} in this order"));
    }
    for (nth, (call, (number, model))) in calls.iter().zip(&asked).enumerate() {
        let channel = &setup.channels[*number];
        if asked[..nth].contains(&(*number, model)) {
            wrong.push(format!("channel {number} was called twice for {model}"));
        }
        if !channel.serves(model) || channel.lane(ask.dialect, ask.previous.is_some()).is_none() {
            wrong.push(format!("channel {number} cannot serve {model}"));
        }
        if nth > 0 && call.at >= ask.at + setup.deadline {
            wrong.push(format!("an attempt began {} ms after the request came in", call.at - ask.at));
        }
        if story.stop.is_some_and(|stop| call.at > stop.ending) {
            wrong.push("an attempt began after the drain limit".to_owned());
        }
        request(story, call, channel, model, wrong);
    }
    if let Maker::Channel(maker) = story.maker
        && calls.iter().any(|call| call.channel != maker)
    {
        wrong.push(format!("another channel was asked for what channel {maker} made"));
    }
    if settlement.ending == Ending::Rejected {
        rejection(story, settlement, wrong);
    }
}

/// What the upstream was sent: the caller's request, but for the named edits, signed in as the channel.
fn request(story: &Story<'_>, call: &Call, channel: &Channel, model: &str, wrong: &mut Vec<String>) {
    let ask = story.ask;
    if !call.uri.starts_with(&format!("https://{}/", channel.host)) {
        wrong.push(format!("sent to {}", call.uri));
    }
    if call.headers.get("host").is_none_or(|host| host.as_bytes() != channel.host.as_bytes()) {
        wrong.push("the wrong host".to_owned());
    }
    let sent = format!("{} {:?}", call.uri, call.headers);
    if story.setup.keys.iter().any(|key| sent.contains(&key.secret))
        || call.headers.contains_key("x-forwarded-for")
        || sent.contains("placeholder")
    {
        wrong.push(format!("what is the caller's own went out: {sent}"));
    }
    if call.sent_at.is_none() {
        return;
    }
    let renamed = channel.renames && model == crate::setup::MODELS[0];
    let model = if renamed { RENAMED } else { model };
    if call.is_translated(ask) {
        return translated(call, model, ask, wrong);
    }
    let (Ok(mut mine), Ok(yours)) =
        (serde_json::from_slice::<Value>(&ask.body), serde_json::from_slice::<Value>(&call.body))
    else {
        return wrong.push("the request body is no JSON any more".to_owned());
    };
    if ask.dialect == dialect::Dialect::GeminiGenerate {
        if !call.uri.contains(&format!("/models/{model}:")) {
            wrong.push(format!("sent to {}, should be for {model}", call.uri));
        }
    } else {
        mine["model"] = model.into();
    }
    // The list of models is ours to go through.
    mine.as_object_mut().and_then(|mine| mine.remove("models"));
    if ask.stream && ask.dialect == dialect::Dialect::OpenaiChat && !channel.tells_usage_unasked() {
        mine["stream_options"]["include_usage"] = true.into();
    }
    if mine != yours {
        wrong.push(format!("the request was changed: {mine} to {yours}"));
    }
}

/// The same in another dialect: what it is about is there, and what belongs to the caller's dialect is not.
fn translated(call: &Call, model: &str, ask: &Ask, wrong: &mut Vec<String>) {
    use dialect::Dialect::{AnthropicMessages, GeminiGenerate, OpenaiChat};
    let Ok(body) = serde_json::from_slice::<Value>(&call.body) else {
        return wrong.push("the translated request is no JSON".to_owned());
    };
    let to = call.asked.dialect;
    let named = match to {
        GeminiGenerate => call.uri.contains(&format!("/models/{model}:")),
        _ => body["model"] == model,
    };
    let streams = match to {
        GeminiGenerate => call.uri.ends_with(":streamGenerateContent?alt=sse"),
        _ => body["stream"] == true,
    };
    let asks_usage = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
    let counted = !ask.stream || to != OpenaiChat || asks_usage == call.asked.usage;
    let versioned = to != AnthropicMessages || call.headers.contains_key("anthropic-version");
    let said = body.to_string();
    if !named || streams != ask.stream || !counted || !versioned || !said.contains("hello") {
        wrong.push(format!("told as {} {said}", call.uri));
    }
    // Fields that nobody knows are no other dialect's.
    if said.contains("12345678901234567890") {
        wrong.push(format!("what is the caller's dialect's own went along: {said}"));
    }
}

/// A rejection has a reason.
fn rejection(story: &Story<'_>, settlement: &Settlement, wrong: &mut Vec<String>) {
    let cause = settlement.cause.as_deref().unwrap_or_default();
    // Whether it could be told is only asked where there is a place.
    let lane = |channel: &&Channel| channel.lane(story.ask.dialect, false).is_some();
    let mut channels = story.setup.channels.iter().filter(lane);
    let reason = match cause.trim_start_matches("rejected: ").split([' ', '{']).next().unwrap_or_default() {
        "RateLimited" => limits::has(story, cause),
        "QueueFull" => story.setup.queue < 1_000,
        // What it waited for its limits comes on top.
        "QueueTimedOut" => {
            settlement.queued_ms == 30_000 || story.setup.patience.is_some() && settlement.queued_ms > 30_000
        }
        "ChannelsBusy" => channels.any(|channel| channel.max_in_flight.is_some()),
        "ChannelsResting" => true, // `of_all` looks at who rests.
        "Stopping" => story.stop.is_some_and(|stop| {
            story.ask.at >= stop.draining || story.visit.head_at.is_some_and(|head_at| head_at >= stop.ending)
        }),
        _ => false,
    };
    if !reason {
        wrong.push(format!("rejected without a reason: {cause}"));
    }
}

/// Which channel made what a request builds on, as far as it was known here when the request came.
pub(crate) fn maker(world: &World, ask: &Ask) -> Maker {
    let Some(previous) = ask.previous else { return Maker::Nobody };
    let Some(call) = world.calls.iter().find(|call| call.ask == previous) else { return Maker::Nobody };
    // What was made for a request of ours is nothing that the caller could build on.
    if call.taken.is_empty() || call.script.status != 200 || call.is_translated(&world.asks[previous]) {
        return Maker::Nobody;
    }
    let id = world.visits[previous].request_id;
    match world.settlements.iter().find(|(_, settlement)| Some(settlement.request_id) == id) {
        Some((at, settlement))
            if *at < ask.at && settlement.ending == Ending::Completed && settlement.attempts.len() == 1 =>
        {
            Maker::Channel(call.channel)
        }
        _ => Maker::Perhaps(call.channel),
    }
}

/// Of all requests together. `ends`: when each settled.
pub(crate) fn of_all(world: &World, ends: &[u64], broken: &mut Vec<String>) {
    let setup = &world.setup;
    // From the first call on a request has its places; it gives them back when it settles.
    let mut held: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
    for (number, ask) in world.asks.iter().enumerate() {
        let Some(first) = world.calls.iter().find(|call| call.ask == number) else { continue };
        let span = (first.at, ends[number]);
        held.entry("all".to_owned()).or_default().push(span);
        if let KeyUse::Known(key) = ask.key {
            held.entry(format!("key {key}")).or_default().push(span);
            held.entry("user".to_owned()).or_default().push(span);
        }
    }
    for (_, settlement) in world.settlements.iter().filter(|(_, settlement)| settlement.queued_ms > 0) {
        let visit = world.visits.iter().find(|visit| visit.request_id == Some(settlement.request_id));
        // Who waits for admission waits from the moment its body is in.
        if let Some(from) = visit.and_then(|visit| visit.body_in_at) {
            held.entry("queue".to_owned()).or_default().push((from, from + settlement.queued_ms));
        }
    }
    for call in &world.calls {
        let span = (call.at, call.over_at.unwrap_or(u64::MAX));
        held.entry(format!("channel {}", call.channel)).or_default().push(span);
    }
    let mut limits = vec![
        ("all".to_owned(), Some(setup.in_flight)),
        ("queue".to_owned(), Some(setup.queue)),
        ("user".to_owned(), setup.caps.max_in_flight),
    ];
    limits.extend(setup.keys.iter().enumerate().map(|(n, key)| (format!("key {n}"), key.caps.max_in_flight)));
    limits.extend(
        setup.channels.iter().enumerate().map(|(n, channel)| (format!("channel {n}"), channel.max_in_flight)),
    );
    for (who, limit) in limits {
        let (Some(limit), Some(spans)) = (limit, held.get(&who)) else { continue };
        let most = at_once(spans);
        if most > limit {
            broken.push(format!("{who}: {most} at once, {limit} allowed"));
        }
    }
    rests(world, broken);
}

/// How many spans overlap at most; what ends at a moment makes room for what begins then.
fn at_once(spans: &[(u64, u64)]) -> u64 {
    let mut changes: Vec<(u64, i64)> =
        spans.iter().filter(|(from, to)| to > from).flat_map(|(from, to)| [(*from, 1), (*to, -1)]).collect();
    changes.sort_unstable();
    let (mut now, mut most) = (0i64, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    most as u64
}

/// A secret whose upstream asked for rest is left alone; nobody is turned away while a channel is well.
fn rests(world: &World, broken: &mut Vec<String>) {
    let stories: Vec<Story<'_>> = world
        .asks
        .iter()
        .zip(&world.visits)
        .enumerate()
        .map(|(number, (ask, visit))| Story {
            setup: &world.setup,
            stop: world.stop,
            ask,
            visit,
            calls: world.calls.iter().filter(|call| call.ask == number).collect(),
            maker: maker(world, ask),
        })
        .collect();
    let mut troubled: HashMap<usize, u64> = HashMap::new();
    for story in &stories {
        for call in &story.calls {
            let outcomes = story.outcomes(call);
            let at = call.over_at.unwrap_or(u64::MAX);
            if outcomes != [Outcome::Answer] || story.endings() != [Ending::Completed] {
                let first = troubled.entry(call.channel).or_insert(at);
                *first = at.min(*first);
            }
            let [Outcome::Fault(Fault::Told(said))] = outcomes[..] else { continue };
            if story.interrupted_at(at) {
                continue;
            }
            for other in &world.calls {
                // Clocks are cut to milliseconds on both sides.
                if other.secret == call.secret && other.at > at && other.at + 1 < at + said.rest_ms() {
                    broken.push(format!(
                        "channel {} was called at {} with a secret that rests from {at} for {} ms",
                        call.channel,
                        other.at,
                        said.rest_ms()
                    ));
                }
            }
        }
    }
    availability(world, &stories, &troubled, broken);
}

/// While a channel has had no trouble and no limit, it is asked before lower ones, and before anybody is given up.
fn availability(
    world: &World,
    stories: &[Story<'_>],
    troubled: &HashMap<usize, u64>,
    broken: &mut Vec<String>,
) {
    for story in stories.iter().filter(|story| story.maker == Maker::Nobody) {
        let servable = &story.ask.servable(&world.setup);
        let well_for = |at: u64, models: usize| {
            world.setup.channels.iter().enumerate().filter(move |(number, channel)| {
                channel.max_in_flight.is_none()
                    && servable.iter().take(models).any(|model| channel.serves(model))
                    && channel.lane(story.ask.dialect, story.ask.previous.is_some()).is_some()
                    && troubled.get(number).is_none_or(|trouble| *trouble > at)
            })
        };
        let well = |at: u64| well_for(at, servable.len());
        if let Some(first) = story.calls.first() {
            let well = |at: u64| well_for(at, 1);
            let priority = world.setup.channels[first.channel].priority;
            // The plan is drawn when the body is in, before any wait for admission.
            let drawn_at = first.at;
            let own_model = |channel: &Channel| servable.first().is_some_and(|model| channel.serves(model));
            if let Some((number, _)) =
                well(drawn_at).find(|_| !own_model(&world.setup.channels[first.channel]))
            {
                broken.push(format!(
                    "request {}: channel {number} has what was asked for first",
                    story.ask.number
                ));
            }
            if let Some((number, _)) = well(drawn_at).find(|(_, channel)| channel.priority > priority) {
                broken.push(format!("request {}: channel {number} should have been first", story.ask.number));
            }
            let own = |channel: &Channel| channel.priority == priority && channel.speaks(story.ask.dialect);
            if first.is_translated(story.ask)
                && let Some((number, _)) = well(drawn_at).find(|(_, channel)| own(channel))
            {
                broken.push(format!("request {}: channel {number} speaks its dialect", story.ask.number));
            }
        }
        let Some(last) = story.calls.last() else { continue };
        let over_at = last.over_at.unwrap_or(u64::MAX);
        // After a word about the request itself not all of the others are asked: `laws` has which.
        let lets_on = |call: &&Call| match story.outcomes(call)[..] {
            [Outcome::Fault(Fault::Told(said))] => !said.final_word(),
            [Outcome::Fault(_)] => true,
            _ => false,
        };
        let again = story.calls.iter().all(lets_on);
        let gone = story.visit.over.is_some_and(|(at, _)| at < over_at) || story.interrupted_at(over_at);
        let may = again
            && !gone
            && story.calls.len() < world.setup.attempts_max
            && over_at < story.total_at().min(story.ask.at + world.setup.deadline)
            && world.calls.len() < 400; // the retry budget is not spent
        let untried = |number: usize| story.calls.iter().all(|call| call.channel != number);
        if let Some((number, _)) = well(over_at).find(|(number, _)| may && untried(*number)) {
            broken.push(format!("request {}: channel {number} was well, and not tried", story.ask.number));
        }
    }
}
