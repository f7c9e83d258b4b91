//! What a client wants: a request drawn from the seed, and how its sender behaves.

use bytes::Bytes;
use dialect::{Dialect, Door, Operation};
use gateway::pipeline::inbound::{Head, Target};
use http::Request;
use serde_json::json;
use uuid::Uuid;

use crate::{
    dice::Dice,
    setup::{Channel, MODELS, Setup},
    upstream::call_id,
    wire::stored_id,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyUse {
    Known(usize),
    Wrong,
    Missing,
}

/// How a request body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Whole,
    Broken,
    Never,
}

/// How the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Eager,
    /// Pauses of at most so many milliseconds between reads.
    Slow(u64),
    /// Nothing any more after so many frames.
    StopsAfter(usize),
    /// Gone after so many frames.
    LeavesAfter(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) number: usize,
    /// Of everything that happens to this request.
    pub(crate) seed: u64,
    pub(crate) at: u64,
    pub(crate) key: KeyUse,
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    /// Gemini's JSON array.
    pub(crate) array: bool,
    /// The client itself asks for usage.
    pub(crate) wants_usage: bool,
    pub(crate) model: String,
    /// Asked for where that one cannot be had: the list that the body brings.
    pub(crate) fallback: Option<&'static str>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Pieces of the body and when they are sent, in milliseconds after the one before.
    pub(crate) chunks: Vec<(u64, Bytes)>,
    pub(crate) body_end: BodyEnd,
    /// With `Content-Length`.
    pub(crate) announced: bool,
    pub(crate) leaves_after: Option<u64>,
    pub(crate) reading: Reading,
    /// Builds on the first call of that request, by `previous_response_id`.
    pub(crate) previous: Option<usize>,
    /// The status of the refusal that the request itself deserves, once its body is in.
    pub(crate) fault: Option<u16>,
}

impl Ask {
    pub(crate) fn draw(dice: &mut Dice, before: &[Ask], at: u64, setup: &Setup) -> Ask {
        let number = before.len();
        let seed = dice.next();
        let dice = &mut Dice::new(seed);
        let key = match dice.weigh(&[(94, 0), (3, 1), (3, 2)]) {
            0 => KeyUse::Known(dice.below(setup.keys.len())),
            1 => KeyUse::Wrong,
            _ => KeyUse::Missing,
        };
        let spoken: Vec<Dialect> = Dialect::ALL
            .into_iter()
            .filter(|dialect| setup.channels.iter().any(|channel| channel.lane(*dialect, false).is_some()))
            .collect();
        let dialect = if dice.chance(96) { dice.pick(&spoken) } else { dice.pick(&Dialect::ALL) };
        let stream = dice.chance(60);
        let model = if dice.chance(97) { dice.pick(&MODELS).to_owned() } else { "nobody-has-it".to_owned() };
        let reading = match dice.weigh(&[(70, 0), (12, 1), (6, 2), (12, 3)]) {
            0 => Reading::Eager,
            1 => Reading::Slow(dice.time(100_000)),
            2 => Reading::StopsAfter(dice.between(1, 6) as usize),
            _ => Reading::LeavesAfter(dice.between(1, 6) as usize),
        };
        let mut ask = Ask {
            number,
            seed: dice.next(),
            at,
            key,
            dialect,
            stream,
            array: dialect == Dialect::GeminiGenerate && stream && dice.chance(40),
            wants_usage: dice.chance(30),
            model,
            fallback: None,
            content_type: if dice.chance(98) { "application/json" } else { "text/plain" },
            body: Bytes::new(),
            chunks: Vec::new(),
            body_end: dice.weigh(&[(94, BodyEnd::Whole), (3, BodyEnd::Broken), (3, BodyEnd::Never)]),
            announced: dice.chance(60),
            leaves_after: dice.chance(15).then(|| dice.time(120_000) + 1),
            reading,
            previous: None,
            fault: None,
        };
        if dialect == Dialect::OpenaiResponses && dice.chance(30) {
            let mine = before.iter().filter(|other| other.key == key && other.dialect == dialect);
            let mine: Vec<usize> = mine.map(|other| other.number).collect();
            ask.previous = (!mine.is_empty()).then(|| dice.pick(&mine));
        }
        if ask.previous.is_none() && dice.chance(25) {
            ask.fallback = Some(dice.pick(&[MODELS[0], MODELS[1], "nobody-has-it-either"]));
        }
        let defect = ask.write_body(dice);
        ask.cut_body(dice);
        ask.fault = ask.judge(setup, defect);
        ask
    }

    /// Writes the body; the status that it deserves, if it is a bad one.
    fn write_body(&mut self, dice: &mut Dice) -> Option<u16> {
        let filler = "x".repeat(dice.weigh(&[(10, 20), (3, 3_000), (1, 40_000), (1, 300_000)]));
        let mut body = json!({"big": 12345678901234567890u64, "zero": 0, "none": null, "filler": filler});
        if let Some(fallback) = self.fallback {
            body["models"] = json!([fallback]);
        }
        if self.dialect == Dialect::GeminiGenerate {
            body["contents"] = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
        } else {
            body["model"] = json!(self.model);
            let list = if self.dialect == Dialect::OpenaiResponses { "input" } else { "messages" };
            body[list] = json!([{"role": "user", "content": "hello"}]);
            if self.stream {
                body["stream"] = json!(true);
            }
            if let Some(previous) = self.previous {
                body["previous_response_id"] = json!(stored_id(call_id(previous, 0)));
            }
            if self.wants_usage && self.dialect == Dialect::OpenaiChat {
                body["stream_options"] = json!({"include_usage": true});
            }
        }
        let body = body.to_string();
        let (body, defect) = match dice.weigh(&[(97, 0), (1, 1), (1, 2), (1, 3)]) {
            1 => (body[..body.len() - 1].to_owned(), Some(400)),
            2 => (String::new(), Some(400)),
            3 => ("[1, 2]".to_owned(), Some(400)),
            _ => (body, None),
        };
        self.body = body.into();
        defect
    }

    fn cut_body(&mut self, dice: &mut Dice) {
        let slow = if dice.chance(10) { 40_000 } else { 50 };
        let mut rest = self.body.clone();
        let most = dice.pick(&[usize::MAX, 5_000, 700]);
        while !rest.is_empty() {
            let length = most.min(rest.len());
            self.chunks.push((dice.time(slow), rest.split_to(length)));
        }
        if self.body_end != BodyEnd::Whole {
            self.chunks.truncate(dice.below(self.chunks.len() + 1));
        }
        if self.body.is_empty() {
            self.body_end = BodyEnd::Whole;
        }
    }

    /// What the request deserves when all of it is in.
    fn judge(&self, setup: &Setup, defect: Option<u16>) -> Option<u16> {
        let KeyUse::Known(key) = self.key else { return Some(401) };
        if self.content_type != "application/json" {
            return Some(415);
        }
        if self.body.len() as u64 > setup.body_bytes {
            return Some(413);
        }
        if defect.is_some() {
            return defect;
        }
        let refusals: Vec<Option<u16>> = self.models().map(|model| self.refusal(setup, key, model)).collect();
        // Of several the first one's is told, where none can be had.
        if refusals.contains(&None) { None } else { refusals[0] }
    }

    /// The models that may answer, in order.
    pub(crate) fn models(&self) -> impl Iterator<Item = &str> {
        let fallback = self.fallback.filter(|fallback| *fallback != self.model);
        std::iter::once(self.model.as_str()).chain(fallback)
    }

    /// What a model deserves, if it cannot be had.
    fn refusal(&self, setup: &Setup, key: usize, model: &str) -> Option<u16> {
        if setup.keys[key].only_model.is_some_and(|only| only != model) {
            return Some(403);
        }
        let mut serving = setup.channels.iter().filter(|channel| channel.serves(model)).peekable();
        if serving.peek().is_none() {
            return Some(404);
        }
        (!serving.any(|channel| channel.lane(self.dialect, self.previous.is_some()).is_some())).then_some(400)
    }

    /// The models that some channel can be asked for, in order.
    pub(crate) fn servable<'a>(&'a self, setup: &'a Setup) -> Vec<&'a str> {
        let KeyUse::Known(key) = self.key else { return Vec::new() };
        self.models().filter(|model| self.refusal(setup, key, model).is_none()).collect()
    }

    /// It is let in, and refused when nobody is found to whom it could be told.
    pub(crate) fn is_refused_late(&self, setup: &Setup) -> bool {
        let mut serving = setup.channels.iter().filter(|channel| channel.serves(&self.model));
        let asked = |channel: &Channel, builds| channel.lane(self.dialect, builds).is_some();
        self.previous.is_some() && self.fault == Some(400) && serving.any(|channel| asked(channel, false))
    }

    pub(crate) fn head(&self, setup: &Setup, request_id: Uuid) -> Box<Head> {
        let verb = if self.stream { "streamGenerateContent" } else { "generateContent" };
        let path = match self.dialect {
            Dialect::OpenaiChat => "/v1/chat/completions".to_owned(),
            Dialect::OpenaiResponses => "/v1/responses".to_owned(),
            Dialect::AnthropicMessages => "/v1/messages".to_owned(),
            Dialect::GeminiGenerate => {
                let sse = if self.stream && !self.array { "?alt=sse" } else { "" };
                format!("/v1beta/models/{}:{verb}{sse}", self.model)
            }
        };
        let secret = match self.key {
            KeyUse::Known(key) => Some(setup.keys[key].secret.as_str()),
            KeyUse::Wrong => Some("sk-nobody"),
            KeyUse::Missing => None,
        };
        // Keys come in every form that clients send them.
        let form = self.seed % 5;
        let path = match secret {
            Some(secret) if form == 3 => {
                format!("{path}{}key={secret}", if path.contains('?') { '&' } else { '?' })
            }
            _ => path,
        };
        let mut request = Request::post(path)
            .header("content-type", self.content_type)
            .header("x-sim-ask", self.number)
            .header("x-forwarded-for", "192.0.2.7");
        if let Some(secret) = secret {
            request = match form {
                0 => request.header("x-api-key", secret),
                1 => request.header("x-goog-api-key", secret),
                2 => request.header("authorization", "Bearer placeholder").header("x-api-key", secret),
                3 => request,
                _ => request.header("authorization", format!("Bearer {secret}")).header("cookie", secret),
            };
        }
        if self.announced {
            request = request.header("content-length", self.body.len());
        }
        let target = match self.dialect {
            Dialect::GeminiGenerate => Target {
                model: Some(self.model.clone()),
                version: Some("v1beta".to_owned()),
                rest: None,
                stream: self.stream,
            },
            _ => Target::default(),
        };
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Box::new(Head { request_id, door: Door::new(self.dialect, Operation::Chat), target, parts })
    }
}
