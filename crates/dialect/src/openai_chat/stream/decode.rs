//! From chunks to events.
//!
//! In: the data of one chunk. Out: events on the [`Track`]. Parts of a choice follow one another, except calls, which
//! may overlap until their arguments are whole JSON.

use super::{
    calls::Call,
    start::{KNOWN, start},
};
use crate::{
    Accounting, Dialect,
    chat::{Citation, Content, Part, Stop, StopReason},
    event::{Delta, Opening},
    json::members,
    openai_chat::{
        message::{self, says_anything},
        reply,
    },
    translate::{CANDIDATE_BOUND, Track},
    tree::{Json, Object},
    usage,
};

pub(super) const OWN: Dialect = Dialect::OpenaiChat;

#[derive(Debug)]
pub(crate) struct Decoder {
    accounting: Accounting,
    choices: Vec<Choice>,
    /// Usage was told.
    counted: bool,
    /// `citations-on-top`, as of the latest chunk: they are told at the end.
    sources: Vec<Citation>,
}

/// What is open of one choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) index: u32,
    flow: Option<(Flow, u32)>,
    pub(super) calls: Vec<Call>,
    /// Anything at all was said.
    pub(super) said: bool,
    pub(super) called: bool,
    refused: bool,
    /// Told at the end: providers send more in and after the finish chunk (`finish-with-content`, `usage-after-finish`).
    stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Text,
    Reasoning,
    Refusal,
}

impl Decoder {
    pub(crate) fn new(accounting: Accounting) -> Decoder {
        Decoder { accounting, choices: Vec::new(), counted: false, sources: Vec::new() }
    }

    pub(crate) fn read(&mut self, event: Option<&[u8]>, data: &str, track: &mut Track) {
        if data == "[DONE]" {
            // An end also for providers that gave no reason, if they said anything at all.
            for choice in self.choices.iter_mut().filter(|choice| choice.said || self.counted) {
                choice.stop.get_or_insert(Stop::new(StopReason::Other));
            }
            self.finish(track);
            return;
        }
        let chunk = if track.is_started() {
            Object::pick(data, ["choices", "error"])
        } else {
            Object::pick(data, ["choices", "error", "id", "model", "created"])
        };
        let Some(mut chunk) = chunk else {
            track.fail("the provider sent a chunk that is not JSON");
            return;
        };
        let failed = chunk.get("error").is_some_and(|error| !error.is_blank());
        if failed || event == Some(b"error") {
            track.fail_with(data);
            return;
        }
        let choices = match chunk.take("choices") {
            Some(Json::Array(choices)) => choices,
            _ => Vec::new(),
        };
        if !choices.is_empty() {
            start(data, &chunk, track);
        }
        let mut last = choices.is_empty();
        for (at, choice) in choices.into_iter().enumerate() {
            if let Json::Object(choice) = choice {
                last |= choice.get("finish_reason").is_some_and(|reason| !reason.is_blank());
                self.read_choice(choice, at, track);
            }
        }
        let [usage, groq, citations, results] =
            members(data, ["usage", "x_groq", "citations", "search_results"]).unwrap_or_default();
        if let Some(citations) = citations {
            self.hear_sources(citations, results, track);
        }
        let groq = groq.and_then(|groq| members(groq, ["usage"])).and_then(|[usage]| usage);
        if let Some(text) = usage.or(groq) {
            let usage = usage::openai::read(text, self.accounting);
            self.counted |= usage.is_some();
            track.list_usage(text, OWN);
            track.usage(usage);
        }
        // Between the first and the last, chunks are alike on the outside.
        if last {
            track.list_members(data, "", &KNOWN, OWN);
        }
    }

    fn hear_sources(&mut self, citations: &str, results: Option<&str>, track: &mut Track) {
        let parse = |text: &str| Json::parse(text.as_bytes()).ok();
        let Some(citations) = parse(citations).filter(|citations| !citations.is_blank()) else { return };
        match message::read_sources(&citations, results.and_then(parse).as_ref()) {
            Some(sources) => self.sources = sources,
            None => track.losses.add("citations", OWN, "it is no list of addresses"),
        }
    }

    /// The stream's own end is an end if every choice said why it stopped (`no-done`).
    pub(crate) fn finish(&mut self, track: &mut Track) {
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.stop.is_none()) {
            return;
        }
        let mut sources = std::mem::take(&mut self.sources);
        for choice in &mut self.choices {
            if let Some((Flow::Text, part)) = choice.flow {
                let cited = sources.drain(..).map(Delta::Citation);
                cited.for_each(|citation| track.delta(choice.index, part, citation));
            }
            choice.calls.clear();
            if let Some(stop) = choice.stop.clone() {
                track.stop(choice.index, stop);
            }
        }
        if !sources.is_empty() {
            track.losses.add("citations", OWN, "there are no words that they could belong to");
        }
        track.end();
    }

    fn read_choice(&mut self, mut fields: Object, position: usize, track: &mut Track) {
        let index = fields.get("index").and_then(Json::as_u64).unwrap_or(position as u64);
        // Indexes beyond the track's bound are dropped there.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if index >= CANDIDATE_BOUND {
            return;
        }
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice { index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        let choice = &mut self.choices[at];
        let delta = fields.take("delta").or_else(|| fields.take("message"));
        if let Some(Json::Object(delta)) = delta {
            choice.read_delta(delta, track);
        }
        if let Some(Json::String(text)) = fields.take("text") {
            choice.say(Flow::Text, text, track);
        }
        // Beside a delta, the message is what all deltas have said so far.
        track.list_rest(&fields, "choices", &["index", "finish_reason", "message"], OWN);
        if let Some(word) = fields.text("finish_reason").filter(|word| !word.is_empty()) {
            if reply::is_failure(word) {
                match fields.get("error").filter(|error| !error.is_blank()) {
                    Some(error) => track.fail_with(&format!("{{\"error\":{error}}}")),
                    None => track.fail("the provider failed before the answer's end"),
                }
                return;
            }
            choice.stop = Some(reply::read_reason(word, choice.called, choice.refused));
        }
    }
}

impl Choice {
    fn read_delta(&mut self, mut delta: Object, track: &mut Track) {
        self.read_reasoning(&mut delta, track);
        match delta.take("content") {
            Some(Json::String(text)) => self.say(Flow::Text, text, track),
            // Mistral's, with its thinking (`content-in-parts`).
            Some(pieces @ Json::Array(_)) => self.say_pieces(pieces, track),
            _ => {}
        }
        if let Some(Json::String(text)) = delta.take("refusal") {
            self.refused |= !text.is_empty();
            self.say(Flow::Refusal, text, track);
        }
        if let Some(Json::Array(annotations)) = delta.take("annotations") {
            self.cite(&annotations, track);
        }
        if let Some(Json::Array(images)) = delta.take("images") {
            let mut parts = Vec::new();
            if message::content::read_content(Some(Json::Array(images)), &mut parts).is_ok() {
                self.close_flow(track);
                parts.into_iter().for_each(|part| track.whole(self.index, part));
            }
        }
        if let Some(audio) = delta.take("audio").filter(|audio| !audio.is_blank()) {
            self.close_flow(track);
            let content =
                Content::Foreign { dialect: Dialect::OpenaiChat, at: "messages.audio", value: audio };
            track.whole(self.index, Part::new(content));
        }
        if let Some(Json::Array(calls)) = delta.take("tool_calls") {
            for call in calls.into_iter().filter_map(Json::into_object) {
                self.read_call(call, track);
            }
        }
        if let Some(function @ Json::Object(_)) = delta.take("function_call").filter(says_anything) {
            let mut call = Object::default();
            call.put("index", 0u64).put("function", function);
            self.read_call(call, track);
        }
        self.sign(&mut delta, track);
        Choice::list(&delta, track);
    }

    fn say_pieces(&mut self, pieces: Json, track: &mut Track) {
        let mut parts = Vec::new();
        if message::content::read_content(Some(pieces), &mut parts).is_err() {
            track.fail("the provider sent a piece of content that is none");
            return;
        }
        for part in parts {
            match part.content {
                Content::Text { text, .. } => self.say(Flow::Text, text, track),
                Content::Reasoning { text } => self.say(Flow::Reasoning, text, track),
                Content::Refusal { text } => self.say(Flow::Refusal, text, track),
                _ => {
                    self.close_flow(track);
                    self.said = true;
                    track.whole(self.index, part);
                    continue;
                }
            }
            track.list_extras(&part.extras);
        }
    }

    /// Gemini's door signs the message (`signature-on-message`): the token is its last part's.
    fn sign(&mut self, delta: &mut Object, track: &mut Track) {
        let Some(token) = message::reasoning::read_google(delta.get("extra_content")) else { return };
        delta.take("extra_content");
        let last = self.flow.map(|(_, part)| part).or(self.calls.last().map(|call| call.part));
        if let Some(part) = last.or_else(|| self.enter(Flow::Text, track)) {
            track.delta(self.index, part, Delta::Opaque(token));
        }
    }

    /// The rest of a delta, once everything known was taken out.
    fn list(delta: &Object, track: &mut Track) {
        if delta.0.len() > 1 || delta.get("role").is_none() {
            track.list_rest(delta, "choices.delta", &["role"], OWN);
        }
    }

    fn read_reasoning(&mut self, delta: &mut Object, track: &mut Track) {
        let said = [delta.take("reasoning_content"), delta.take("reasoning"), delta.take("thinking")];
        let details = match delta.take("reasoning_details") {
            Some(Json::Array(details)) => details,
            _ => Vec::new(),
        };
        let details: Vec<_> = details.iter().filter_map(Json::as_object).collect();
        // The same words may stand in both.
        if details.iter().all(|detail| message::reasoning::read_detail(detail).text.is_empty())
            && let Some(Json::String(text)) = said.into_iter().flatten().find(|value| !value.is_blank())
        {
            self.say(Flow::Reasoning, text, track);
        }
        for detail in details {
            let kind = detail.text("type").unwrap_or("reasoning.text").to_owned();
            let detail = message::reasoning::read_detail(detail);
            if detail.unknown {
                let at = format!("messages.reasoning_details.{kind}");
                track.losses.add(at, OWN, "a token whose dialect is not named");
            }
            let tokens: Vec<_> = detail.opaque.into_iter().filter(|token| token.stands_alone()).collect();
            if tokens.is_empty() {
                self.say(Flow::Reasoning, detail.text, track);
                continue;
            }
            if let Some(part) = self.enter(Flow::Reasoning, track) {
                if !detail.text.is_empty() {
                    track.delta(self.index, part, Delta::Text(detail.text));
                }
                tokens.into_iter().for_each(|token| track.delta(self.index, part, Delta::Opaque(token)));
                // It closes what it signs: the next words are another thought's.
                self.close_flow(track);
            }
        }
    }

    /// The open part of this kind, or a new one.
    fn enter(&mut self, flow: Flow, track: &mut Track) -> Option<u32> {
        if let Some((open, part)) = self.flow
            && open == flow
        {
            return Some(part);
        }
        self.close_flow(track);
        let opening = match flow {
            Flow::Text => Opening::Text,
            Flow::Reasoning => Opening::Reasoning,
            Flow::Refusal => Opening::Refusal,
        };
        let part = track.open(self.index, opening)?;
        self.said = true;
        self.flow = Some((flow, part));
        Some(part)
    }

    pub(super) fn close_flow(&mut self, track: &mut Track) {
        if let Some((_, part)) = self.flow.take() {
            track.close(self.index, part);
        }
    }

    fn say(&mut self, flow: Flow, text: String, track: &mut Track) {
        if text.is_empty() {
            return;
        }
        if let Some(part) = self.enter(flow, track) {
            track.delta(self.index, part, Delta::Text(text));
        }
    }

    fn cite(&mut self, annotations: &[Json], track: &mut Track) {
        let open = self.flow.filter(|(flow, _)| *flow == Flow::Text);
        for annotation in annotations {
            match (message::read_citation(annotation), open) {
                (Some(citation), Some((_, part))) => track.delta(self.index, part, Delta::Citation(citation)),
                _ => track.losses.add("choices.delta.annotations", OWN, "it cites no address, or no words"),
            }
        }
    }
}
