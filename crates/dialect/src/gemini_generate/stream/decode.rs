//! From Gemini's chunks to events.
//!
//! In: the data of one chunk. Out: events on the [`Track`]. A part that is signed must not grow together with others.

use crate::{
    Dialect,
    chat::{Content, Part, Stop, StopReason},
    event::{Delta, Opening},
    gemini_generate::{
        grounding::{Words, cite_streamed},
        part, reply,
    },
    json::members,
    translate::{CANDIDATE_BOUND, Calls, Track},
    tree::{Json, Object},
    usage,
};

const OWN: Dialect = Dialect::GeminiGenerate;
const NO_WORDS: &str = "the words that lean on it were told, and are closed";

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    candidates: Vec<Candidate>,
    calls: Calls,
}

#[derive(Debug, Default)]
struct Candidate {
    index: u32,
    /// The open text or thinking: whether it thinks, and its part.
    flow: Option<(bool, u32)>,
    called: bool,
    stop: Option<Stop>,
    words: Words,
    /// Sources that no text was told yet.
    grounding: Option<Object>,
}

impl Decoder {
    pub(crate) fn read(&mut self, data: &str, track: &mut Track) {
        let names = ["candidates", "promptFeedback", "error", "responseId", "modelVersion"];
        let Some(mut chunk) = Object::pick(data, names) else {
            track.fail("the provider sent a chunk that is not JSON");
            return;
        };
        if chunk.get("error").is_some_and(|error| !error.is_blank()) {
            track.fail_with(data);
            return;
        }
        let first = !track.is_started();
        if first && (chunk.get("candidates").is_some() || chunk.get("promptFeedback").is_some()) {
            let id = chunk.text("responseId").unwrap_or_default();
            track.start(id, chunk.text("modelVersion").unwrap_or_default(), None);
        }
        if first || track.is_nameless() {
            self.calls.name_after(&track.name());
        }
        if let Some(Json::Array(candidates)) = chunk.take("candidates") {
            for (at, candidate) in candidates.into_iter().enumerate() {
                if let Json::Object(candidate) = candidate {
                    self.read_candidate(candidate, at, track);
                }
            }
        }
        let blocked =
            chunk.get("promptFeedback").and_then(Json::as_object).and_then(|f| f.text("blockReason"));
        if let (Some(reason), true) = (blocked, self.candidates.is_empty()) {
            let stop = Stop { detail: Some(reason.to_owned()), ..Stop::new(StopReason::Filtered) };
            self.candidates.push(Candidate { stop: Some(stop), ..Candidate::default() });
        }
        if let Some([Some(usage)]) = members(data, ["usageMetadata"]) {
            track.list_usage(usage, OWN);
            track.usage(usage::gemini::read(usage));
        }
        // The first and the last chunk say of the whole what the others repeat.
        if first || self.candidates.iter().all(|candidate| candidate.stop.is_some()) {
            let known = ["candidates", "error", "responseId", "modelVersion", "usageMetadata"];
            track.list_members(data, "", &known, OWN);
        }
    }

    pub(crate) fn finish(&mut self, track: &mut Track) {
        if self.candidates.is_empty() || self.candidates.iter().any(|candidate| candidate.stop.is_none()) {
            return;
        }
        for candidate in &mut self.candidates {
            if let Some(stop) = candidate.stop.take() {
                track.stop(candidate.index, stop);
            }
        }
        track.end();
    }

    fn read_candidate(&mut self, mut fields: Object, position: usize, track: &mut Track) {
        let index = fields.get("index").and_then(Json::as_u64);
        let index = u32::try_from(index.unwrap_or(position as u64)).unwrap_or(u32::MAX);
        if index >= CANDIDATE_BOUND {
            return;
        }
        let at = match self.candidates.iter().position(|candidate| candidate.index == index) {
            Some(at) => at,
            None => {
                self.candidates.push(Candidate { index, ..Candidate::default() });
                self.candidates.len() - 1
            }
        };
        let candidate = &mut self.candidates[at];
        if let Some(Json::Object(grounding)) = fields.get("groundingMetadata") {
            candidate.grounding =
                Some(grounding.clone()).filter(|found| found.get("groundingSupports").is_some());
        }
        if let Some(Json::Object(mut content)) = fields.take("content") {
            let parts = content.take("parts");
            track.list_rest(&content, "candidates.content", &["role"], OWN);
            for part in parts.iter().filter_map(Json::as_array).flatten().cloned() {
                match part::decode(part, &mut self.calls) {
                    Ok(part) => candidate.read_part(part, track),
                    Err(_) => track.fail("the provider sent a part that is none"),
                }
            }
        }
        candidate.cite(track);
        if candidate.grounding.take().is_some() {
            track.losses.add("candidates.groundingMetadata.groundingSupports", OWN, NO_WORDS);
        }
        let known = ["index", "finishReason", "finishMessage"];
        track.list_rest(&fields, "candidates", &known, OWN);
        if let Some(reason) = fields.get("finishReason").filter(|reason| !reply::is_unspecified(reason)) {
            let detail = fields.text("finishMessage").map(str::to_owned);
            candidate.stop = Some(reply::read_stop(reason, detail, candidate.called));
        }
    }
}

impl Candidate {
    fn read_part(&mut self, part: Part, track: &mut Track) {
        if matches!(part.content, Content::Text { .. } | Content::Reasoning { .. } | Content::ToolCall { .. })
        {
            track.list_extras(&part.extras);
        }
        let (thinks, text) = match part.content {
            Content::Text { text, .. } => (false, text),
            Content::Reasoning { text } => (true, text),
            Content::ToolCall { id, name, input, custom } => {
                self.close(track);
                self.called = true;
                let Some(at) = track.open(self.index, Opening::ToolCall { id, name, custom }) else { return };
                part.opaque.into_iter().for_each(|token| track.delta(self.index, at, Delta::Opaque(token)));
                if !input.is_empty() {
                    track.delta(self.index, at, Delta::Input(input));
                }
                track.close(self.index, at);
                return;
            }
            _ => {
                self.close(track);
                track.whole(self.index, part);
                return;
            }
        };
        if text.is_empty() && part.opaque.is_empty() {
            return;
        }
        // Thoughts are not checked by their places, so their signature may join what came before.
        let joins = part.opaque.is_empty() || thinks;
        let at = match self.flow {
            Some((open, at)) if open == thinks && joins => at,
            _ => {
                self.close(track);
                let opening = if thinks { Opening::Reasoning } else { Opening::Text };
                let Some(at) = track.open(self.index, opening) else { return };
                self.flow = Some((thinks, at));
                self.words.begin();
                at
            }
        };
        if !thinks {
            self.words.say(&text);
        }
        if !text.is_empty() {
            track.delta(self.index, at, Delta::Text(text));
        }
        if !part.opaque.is_empty() {
            part.opaque.into_iter().for_each(|token| track.delta(self.index, at, Delta::Opaque(token)));
            self.close(track);
        }
    }

    /// Tells the text under way what it leans on.
    fn cite(&mut self, track: &mut Track) {
        if let Some((false, at)) = self.flow
            && let Some(grounding) = self.grounding.take()
        {
            let (cited, left) = cite_streamed(&grounding, &self.words);
            cited.into_iter().for_each(|citation| track.delta(self.index, at, Delta::Citation(citation)));
            if left {
                track.losses.add("candidates.groundingMetadata.groundingSupports", OWN, NO_WORDS);
            }
        }
    }

    fn close(&mut self, track: &mut Track) {
        self.cite(track);
        if let Some((_, at)) = self.flow.take() {
            track.close(self.index, at);
        }
    }
}
