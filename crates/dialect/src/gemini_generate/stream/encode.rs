//! From events to Gemini's chunks.
//!
//! In: events in their order. Out: frames, each a slice of the answer; calls whole, reasons and usage in the last one. As
//! a JSON array it is closed only by the end.

use crate::{
    Dialect, Usage,
    chat::{Opaque, Stop},
    event::{ChatEvent, Delta, Opening},
    gemini_generate::{
        grounding::{Sources, Words},
        part, reply,
    },
    loss::Losses,
    shortfall,
    translate::{Telling, put_object},
    tree::{Json, Object, object},
};

const OWN: Dialect = Dialect::GeminiGenerate;

#[derive(Debug)]
pub(crate) struct Encoder {
    telling: Telling,
    id: String,
    model: String,
    /// Nothing was written yet: an array has its bracket to come.
    first: bool,
    open: Vec<Open>,
    /// Candidates that have called a tool.
    called: Vec<u32>,
    stops: Vec<(u32, Stop)>,
    cited: Vec<Cited>,
    usage: Option<Usage>,
}

/// A part under way.
#[derive(Debug)]
struct Open {
    candidate: u32,
    part: u32,
    opening: Opening,
    /// A call's arguments: they go out whole.
    input: String,
    tokens: Vec<Opaque>,
}

/// What the words of one candidate lean on: told with its end.
#[derive(Debug, Default)]
struct Cited {
    candidate: u32,
    words: Words,
    sources: Sources,
}

impl Encoder {
    pub(crate) fn new(telling: Telling) -> Encoder {
        let (id, model) = (telling.id.clone(), telling.model.clone());
        Encoder {
            telling,
            id,
            model,
            first: true,
            open: Vec::new(),
            called: Vec::new(),
            stops: Vec::new(),
            cited: Vec::new(),
            usage: None,
        }
    }

    pub(crate) fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            ChatEvent::Started { id, model, .. } => {
                self.id = self.telling.id(id).to_owned();
                self.model = self.telling.model(model).to_owned();
            }
            ChatEvent::Opened { candidate, part, opening } => {
                let (candidate, part, opening) = (*candidate, *part, opening.clone());
                if opening == Opening::Text {
                    self.cited(candidate).words.begin();
                }
                self.open.push(Open { candidate, part, opening, input: String::new(), tokens: Vec::new() });
            }
            ChatEvent::Delta { candidate, part, delta } => self.delta(*candidate, *part, delta, out, losses),
            ChatEvent::Closed { candidate, part } => self.close(*candidate, *part, out, losses),
            ChatEvent::Stopped { candidate, stop } => {
                reply::list_stop(stop, losses);
                self.stops.push((*candidate, stop.clone()));
            }
            ChatEvent::Usage(usage) => {
                shortfall::list_usage(usage, OWN, losses);
                self.usage = Some(*usage);
            }
            ChatEvent::Ended => self.end(out),
            ChatEvent::Failed(_) => {}
        }
    }

    fn cited(&mut self, candidate: u32) -> &mut Cited {
        let at = match self.cited.iter().position(|cited| cited.candidate == candidate) {
            Some(at) => at,
            None => {
                self.cited.push(Cited { candidate, ..Cited::default() });
                self.cited.len() - 1
            }
        };
        &mut self.cited[at]
    }

    fn delta(&mut self, candidate: u32, part: u32, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let found = self.open.iter_mut().find(|open| open.candidate == candidate && open.part == part);
        let Some(open) = found else { return };
        match delta {
            Delta::Text(text) => {
                let mut fields = object([("text", text.into())]);
                if matches!(open.opening, Opening::Reasoning) {
                    fields.put("thought", true);
                } else if open.opening == Opening::Text {
                    self.cited(candidate).words.say(text);
                }
                self.put_parts(candidate, vec![fields.into()], out);
            }
            Delta::Input(input) => open.input.push_str(input),
            Delta::Opaque(token) => open.tokens.push(token.clone()),
            Delta::Citation(citation) => {
                shortfall::list_quote(citation, OWN, losses);
                let cited = self.cited(candidate);
                cited.sources.add(citation, &cited.words);
            }
        }
    }

    fn close(&mut self, candidate: u32, part: u32, out: &mut Vec<u8>, losses: &mut Losses) {
        let at = self.open.iter().position(|open| open.candidate == candidate && open.part == part);
        let Some(open) = at.map(|at| self.open.remove(at)) else { return };
        let token = part::signature(&open.tokens);
        let mut parts = Vec::new();
        match &open.opening {
            Opening::ToolCall { id, name, custom } => {
                let call = part::write_call(id, name, &open.input, *custom, losses);
                let mut fields = object([("functionCall", call.into())]);
                let first = !self.called.contains(&candidate);
                if first {
                    self.called.push(candidate);
                }
                fields.put_some("thoughtSignature", token.or_else(|| first.then(part::no_token)));
                parts.push(fields.into());
            }
            // No call comes whole.
            Opening::Whole(part) => reply::put_part(part, &mut true, &mut parts, losses),
            Opening::Text | Opening::Refusal | Opening::Reasoning => {
                if let Some(token) = token {
                    let mut fields = object([("text", "".into())]);
                    if matches!(open.opening, Opening::Reasoning) {
                        fields.put("thought", true);
                    }
                    fields.put("thoughtSignature", token);
                    parts.push(fields.into());
                }
            }
        }
        if !parts.is_empty() {
            self.put_parts(candidate, parts, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let mut cited = std::mem::take(&mut self.cited);
        let candidates = self.stops.drain(..).map(|(candidate, stop)| {
            let content = object([("parts", Vec::new().into()), ("role", "model".into())]);
            let mut fields =
                object([("content", content.into()), ("finishReason", reply::write_reason(&stop).into())]);
            fields.put_some("finishMessage", stop.detail.as_ref());
            fields.put("index", candidate);
            let at = cited.iter().position(|cited| cited.candidate == candidate);
            let sources = at.and_then(|at| cited.swap_remove(at).sources.write());
            fields.put_some("groundingMetadata", sources);
            Json::Object(fields)
        });
        let candidates = candidates.collect();
        self.put_chunk(candidates, out);
        if self.telling.json_array {
            out.extend_from_slice(b"]");
        }
    }

    fn put_parts(&mut self, candidate: u32, parts: Vec<Json>, out: &mut Vec<u8>) {
        let content = object([("parts", parts.into()), ("role", "model".into())]);
        let fields = object([("content", content.into()), ("index", candidate.into())]);
        self.put_chunk(vec![fields.into()], out);
    }

    fn put_chunk(&mut self, candidates: Vec<Json>, out: &mut Vec<u8>) {
        let mut chunk = object([("candidates", candidates.into())]);
        chunk.put_some("usageMetadata", self.usage.as_ref().map(reply::write_usage));
        chunk.put("modelVersion", &self.model).put("responseId", &self.id);
        self.put(chunk, out);
    }

    fn put(&mut self, chunk: Object, out: &mut Vec<u8>) {
        let first = std::mem::take(&mut self.first);
        if !self.telling.json_array {
            put_object(out, None, chunk);
            return;
        }
        out.extend_from_slice(if first { b"[" } else { b",\r\n" });
        out.extend_from_slice(Json::Object(chunk).to_string().as_bytes());
    }
}
