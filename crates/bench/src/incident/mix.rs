//! What is asked for, and what goes wrong with it.
//!
//! In: chance; out: a case: bytes to send, and a channel or two that answer as its scenario says. Every scenario exists
//! in all four dialects. A 429 asks for no rest (`retry-after-ms=0`), so that the gateway goes on calling the upstream
//! instead of resting the channel.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    chance::Chance,
    load::request,
    servers::sluice::{self, KEY},
};

/// Whether the caller asks for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Plain,
    Stream,
    Either,
}

/// One kind of trouble, or none.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    /// Share of the requests.
    weight: u64,
    /// The upstream's script, and that of the channel that is tried next.
    scripts: &'static [&'static str],
    asked: Asked,
    /// The request has a body of 1 MB.
    large: bool,
}

const LARGE_BYTES: usize = 1024 * 1024;
const SMALL_BYTES: usize = 1024;

const fn error(name: &'static str, weight: u64, scripts: &'static [&'static str]) -> Scenario {
    Scenario { name, weight, scripts, asked: Asked::Either, large: false }
}

const fn stream(name: &'static str, weight: u64, scripts: &'static [&'static str]) -> Scenario {
    Scenario { name, weight, scripts, asked: Asked::Stream, large: false }
}

const fn plain(name: &'static str, weight: u64, scripts: &'static [&'static str]) -> Scenario {
    Scenario { name, weight, scripts, asked: Asked::Plain, large: false }
}

const fn large(name: &'static str, weight: u64, scripts: &'static [&'static str]) -> Scenario {
    Scenario { name, weight, scripts, asked: Asked::Either, large: true }
}

const SCENARIOS: &[Scenario] = &[
    // The incident itself: error bodies that nobody finished.
    error("429-hang", 60, &["status=429,retry-after-ms=0,body=hang"]),
    error("429-trickle", 40, &["status=429,retry-after-ms=0,body=trickle"]),
    error("429-endless", 20, &["status=429,retry-after-ms=0,body=endless"]),
    error("429-reset", 50, &["status=429,retry-after-ms=0,body=reset"]),
    error("503-hang", 50, &["status=503,body=hang"]),
    error("503-trickle", 40, &["status=503,body=trickle"]),
    error("503-endless", 20, &["status=503,body=endless"]),
    error("503-reset", 50, &["status=503,body=reset"]),
    error("504-hang", 50, &["status=504,body=hang"]),
    error("504-trickle", 30, &["status=504,body=trickle"]),
    error("504-endless", 10, &["status=504,body=endless"]),
    error("504-reset", 40, &["status=504,body=reset"]),
    error("529-hang", 50, &["status=529,body=hang"]),
    error("529-trickle", 30, &["status=529,body=trickle"]),
    error("529-endless", 10, &["status=529,body=endless"]),
    error("529-reset", 40, &["status=529,body=reset"]),
    error("429-whole", 20, &["status=429,retry-after-ms=0"]),
    error("503-big", 4, &["status=503,body=big:1000000"]),
    error("503-html", 10, &["status=503,body=html"]),
    // Another channel can help, or fails too.
    error("hang-then-good", 50, &["status=429,retry-after-ms=0,body=hang", "healthy"]),
    error("reset-then-good", 40, &["status=429,retry-after-ms=0,body=reset", "healthy"]),
    error("trickle-then-hang", 30, &["status=429,retry-after-ms=0,body=trickle", "status=503,body=hang"]),
    // No answer at all.
    error("silence", 15, &["silence"]),
    error("head-trickle", 10, &["head-trickle"]),
    error("close", 10, &["close"]),
    error("rst", 10, &["rst"]),
    // Streams, good and broken.
    stream("stream-good", 50, &["events=10,every=10"]),
    stream("stream-stall", 30, &["stall=2"]),
    stream("stream-reset", 20, &["reset=2"]),
    stream("stream-cut", 20, &["cut=2"]),
    stream("stream-fin", 10, &["fin=2"]),
    stream("stream-error", 10, &["error-event=2"]),
    stream("stream-pings", 10, &["ping-only"]),
    stream("stream-opening", 10, &["lifecycle-only"]),
    stream("stream-linger", 10, &["linger"]),
    // Plain answers.
    plain("plain-good", 40, &["healthy"]),
    plain("plain-large", 10, &["large-reply=300000"]),
    plain("plain-stall", 10, &["stall=0"]),
    plain("plain-reset", 10, &["reset=0"]),
    // Large requests.
    large("large-good", 15, &["healthy"]),
    large("large-429-hang", 8, &["status=429,retry-after-ms=0,body=hang"]),
    large("large-then-good", 7, &["status=429,retry-after-ms=0,body=reset", "healthy"]),
];

/// Scripts whose answer has its end.
const GOOD: [&str; 4] = ["healthy", "events=10,every=10", "large-reply=300000", "linger"];

/// Whether a request for this model can get a whole good answer.
pub fn can_complete(model: &str) -> bool {
    let scenario = SCENARIOS.iter().find(|scenario| {
        model
            .strip_prefix(scenario.name)
            .is_some_and(|rest| NAMES.iter().any(|name| rest == format!("-{name}")))
    });
    scenario.is_some_and(|scenario| scenario.scripts.iter().any(|script| GOOD.contains(script)))
}

/// Dialects by the gateway's names.
const DIALECTS: [&str; 4] = ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"];
/// The same, as models are named after them.
const NAMES: [&str; 4] = ["chat", "responses", "messages", "gemini"];

/// One prepared request.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub bytes: Bytes,
}

/// All cases, ready to be drawn.
#[derive(Debug)]
pub struct Mix {
    /// By scenario, dialect, and whether a stream is asked for.
    cases: Vec<[[Option<Case>; 2]; 4]>,
    weights: u64,
}

impl Mix {
    pub fn prepare() -> Mix {
        let cases = SCENARIOS.iter().map(|scenario| {
            std::array::from_fn(|dialect| {
                [false, true].map(|streams| {
                    let fits = match scenario.asked {
                        Asked::Plain => !streams,
                        Asked::Stream => streams,
                        Asked::Either => true,
                    };
                    fits.then(|| Case {
                        name: model(scenario, dialect),
                        bytes: bytes(scenario, dialect, streams),
                    })
                })
            })
        });
        Mix { cases: cases.collect(), weights: SCENARIOS.iter().map(|scenario| scenario.weight).sum() }
    }

    pub fn draw(&self, chance: &mut Chance) -> &Case {
        let mut place = chance.below(self.weights);
        let drawn = SCENARIOS.iter().position(|scenario| {
            let here = place < scenario.weight;
            place = place.saturating_sub(scenario.weight);
            here
        });
        let of_dialect = &self.cases[drawn.unwrap_or(0)][chance.below(4) as usize];
        let [plain, streamed] = of_dialect;
        let (first, second) = if chance.below(2) == 0 { (plain, streamed) } else { (streamed, plain) };
        match (first, second) {
            (Some(case), _) | (None, Some(case)) => case,
            (None, None) => unreachable!("every scenario is asked for in some way"),
        }
    }

    /// The gateway's channels.
    pub fn channels(upstream: SocketAddr) -> String {
        let mut blocks = String::new();
        for scenario in SCENARIOS {
            for (dialect, dialect_name) in DIALECTS.iter().enumerate() {
                let model = model(scenario, dialect);
                for (number, script) in scenario.scripts.iter().enumerate() {
                    let (name, priority) = (format!("{model}-{number}"), 10 - number);
                    let more = format!("priority = {priority}");
                    blocks += &sluice::channel(&name, dialect_name, upstream, script, &model, &more);
                }
            }
        }
        blocks
    }
}

fn model(scenario: &Scenario, dialect: usize) -> String {
    format!("{}-{}", scenario.name, NAMES[dialect])
}

fn bytes(scenario: &Scenario, dialect: usize, streams: bool) -> Bytes {
    let model = model(scenario, dialect);
    let text = request::text(if scenario.large { LARGE_BYTES } else { SMALL_BYTES });
    let bearer = format!("Bearer {KEY}");
    match DIALECTS[dialect] {
        "openai_chat" => {
            let body = format!(
                r#"{{"model":"{model}","stream":{streams},"messages":[{{"role":"user","content":"{text}"}}]}}"#
            );
            request::post("/v1/chat/completions", &[("authorization", &bearer)], body.as_bytes())
        }
        "openai_responses" => {
            let body = format!(r#"{{"model":"{model}","stream":{streams},"input":"{text}"}}"#);
            request::post("/v1/responses", &[("authorization", &bearer)], body.as_bytes())
        }
        "anthropic_messages" => {
            let body = format!(
                r#"{{"model":"{model}","stream":{streams},"max_tokens":64,"messages":[{{"role":"user","content":"{text}"}}]}}"#
            );
            let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
            request::post("/v1/messages", &headers, body.as_bytes())
        }
        _ => {
            let verb = if streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let path = format!("/v1beta/models/{model}:{verb}");
            let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]}}"#);
            request::post(&path, &[("x-goog-api-key", KEY)], body.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_drawn_in_every_dialect() {
        let mix = Mix::prepare();
        let mut drawn = std::collections::HashSet::new();
        for number in 0..20_000 {
            drawn.insert(mix.draw(&mut Chance::of(7, number)).name.clone());
        }
        assert_eq!(drawn.len(), SCENARIOS.len() * DIALECTS.len());
    }

    #[test]
    fn a_broken_answer_cannot_complete_and_a_second_channel_can() {
        for (model, can) in [
            ("stream-good-chat", true),
            ("stream-cut-gemini", false),
            ("hang-then-good-responses", true),
            ("429-hang-messages", false),
            ("unheard-of", false),
        ] {
            assert_eq!(can_complete(model), can, "{model}");
        }
    }

    #[test]
    fn every_channel_has_a_name_of_its_own() {
        let blocks = Mix::channels(SocketAddr::from(([127, 0, 0, 1], 9)));
        let names: Vec<&str> = blocks.lines().filter(|line| line.starts_with("name = ")).collect();
        let unique: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
    }
}
