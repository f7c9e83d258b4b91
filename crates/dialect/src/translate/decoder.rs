//! A provider's stream, as events.
//!
//! In: its bytes in pieces of any size. Out: [`ChatEvent`]s in the order their module describes. They must not depend on
//! where the pieces were cut; what is held is one frame, of [`FRAME_BOUND`] at most. The end is never invented.

use std::borrow::Cow;

use bytes::BytesMut;

use crate::{
    Accounting, Dialect, Framing, ParsedError, anthropic_messages,
    chat::{Extras, Stop},
    event::{ChatEvent, Delta, Opening},
    fields::join,
    frame::{Scan, read_content},
    gemini_generate,
    json::{self, any_member},
    loss::Losses,
    meaningless, openai_chat, openai_responses, parse_error,
    translate::calls::{Digest, mint_call_id},
    tree::Object,
    usage::unread,
};

/// The longest frame that is translated. Pictures come whole in one; whoever sends more is not waited for.
const FRAME_BOUND: usize = 64 * 1024 * 1024;

/// Answers asked for at once are few; a provider that numbers them wildly must not make the books grow.
pub(crate) const CANDIDATE_BOUND: u32 = 128;

/// Parts that are open at once: calls that overlap. More is a provider gone wrong.
const OPEN_BOUND: usize = 256;

#[derive(Debug)]
pub struct StreamDecoder {
    framing: Framing,
    scan: Scan,
    held: BytesMut,
    reader: Reader,
    track: Track,
}

#[derive(Debug)]
enum Reader {
    Chat(openai_chat::stream::Decoder),
    Responses(openai_responses::stream::Decoder),
    Anthropic(anthropic_messages::stream::Decoder),
    Gemini(gemini_generate::stream::Decoder),
}

/// What a dialect's decoder writes to: it keeps the order of events whatever the provider does.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) events: Vec<ChatEvent>,
    pub(crate) losses: Losses,
    started: bool,
    over: bool,
    candidates: Vec<CandidateTrack>,
    /// Tool calls that came without an id.
    minted: u32,
    id: String,
    /// The frames so far, where the answer has no id.
    said: Digest,
}

#[derive(Debug, Default)]
struct CandidateTrack {
    next_part: u32,
    open: Vec<(u32, Takes)>,
    stopped: bool,
}

/// Which deltas an open part takes, beside opaque tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Text,
    CitedText,
    Input,
    Nothing,
}

impl Takes {
    fn of(opening: &Opening) -> Takes {
        match opening {
            Opening::Text => Takes::CitedText,
            Opening::Reasoning | Opening::Refusal => Takes::Text,
            Opening::ToolCall { .. } => Takes::Input,
            Opening::Whole(_) => Takes::Nothing,
        }
    }

    fn fits(self, delta: &Delta) -> bool {
        match delta {
            Delta::Text(_) => matches!(self, Takes::Text | Takes::CitedText),
            Delta::Input(_) => self == Takes::Input,
            Delta::Citation(_) => self == Takes::CitedText,
            Delta::Opaque(_) => self != Takes::Nothing,
        }
    }
}

impl StreamDecoder {
    pub fn new(dialect: Dialect, framing: Framing, accounting: Accounting) -> StreamDecoder {
        let reader = match dialect {
            Dialect::OpenaiChat => Reader::Chat(openai_chat::stream::Decoder::new(accounting)),
            Dialect::OpenaiResponses => Reader::Responses(openai_responses::stream::Decoder::default()),
            Dialect::AnthropicMessages => Reader::Anthropic(anthropic_messages::stream::Decoder::default()),
            Dialect::GeminiGenerate => Reader::Gemini(gemini_generate::stream::Decoder::default()),
        };
        let scan = Scan::new(framing);
        StreamDecoder { framing, scan, held: BytesMut::new(), reader, track: Track::default() }
    }

    /// Takes bytes as they came and appends the events they complete.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<ChatEvent>) {
        while !bytes.is_empty() && !self.track.over && !self.scan.is_over() {
            let found = self.scan.find_end(bytes);
            let (piece, rest) = bytes.split_at(found.unwrap_or(bytes.len()));
            bytes = rest;
            if self.held.len() + piece.len() > FRAME_BOUND {
                self.track.fail("an event of the provider is too long");
            } else if found.is_none() {
                self.held.extend_from_slice(piece);
            } else if self.held.is_empty() {
                self.read_frame(piece);
            } else {
                self.held.extend_from_slice(piece);
                let frame = self.held.split();
                self.read_frame(&frame);
            }
        }
        out.append(&mut self.track.events);
    }

    /// The provider closed the stream: a last frame may lack its blank line, and two dialects end like this.
    pub fn finish(&mut self, out: &mut Vec<ChatEvent>) {
        if !self.held.is_empty() && !self.track.over {
            let frame = self.held.split();
            // Half a frame says nothing: the stream was cut off there.
            if is_whole(self.framing, &frame) {
                self.read_frame(&frame);
            }
        }
        if !self.track.over {
            match &mut self.reader {
                Reader::Chat(reader) => reader.finish(&mut self.track),
                Reader::Gemini(reader) => reader.finish(&mut self.track),
                Reader::Responses(_) | Reader::Anthropic(_) => {}
            }
        }
        out.append(&mut self.track.events);
    }

    /// The dialect's end, or an error, was seen: nothing follows.
    pub fn is_over(&self) -> bool {
        self.track.over
    }

    /// What the provider said and the canonical form has no place for.
    pub fn losses(&self) -> &Losses {
        &self.track.losses
    }

    fn read_frame(&mut self, frame: &[u8]) {
        let content = read_content(self.framing, frame);
        let Some(data) = content.data else { return };
        let data = data.trim_ascii();
        if data.is_empty() {
            return;
        }
        let data = String::from_utf8_lossy(data);
        let track = &mut self.track;
        if track.id.is_empty() {
            track.said = track.said.with(data.as_bytes());
        }
        match &mut self.reader {
            Reader::Chat(reader) => reader.read(content.event, &data, track),
            Reader::Responses(reader) => reader.read(&data, track),
            Reader::Anthropic(reader) => reader.read(&data, track),
            Reader::Gemini(reader) => reader.read(&data, track),
        }
    }
}

impl Track {
    /// Nothing follows an end, also within the frame that told it.
    fn push(&mut self, event: ChatEvent) {
        if !self.over {
            self.events.push(event);
        }
    }

    pub(crate) fn start(&mut self, id: &str, model: &str, created_s: Option<u64>) {
        if !std::mem::replace(&mut self.started, true) {
            self.id = id.to_owned();
            self.push(ChatEvent::Started { id: id.to_owned(), model: model.to_owned(), created_s });
        }
    }

    /// Lists what is left of an object of a stream after everything known was taken out of it.
    pub(crate) fn list_rest(&mut self, rest: &Object, at: &'static str, known: &[&str], dialect: Dialect) {
        for (key, _) in rest.iter().filter(|(key, value)| !known.contains(key) && !value.is_blank()) {
            self.lose(join(at, key), dialect);
        }
    }

    /// The same of an object that is no tree yet.
    pub(crate) fn list_members(&mut self, json: &str, at: &'static str, known: &[&str], dialect: Dialect) {
        any_member(json, |key, value| {
            if !known.contains(&key) && !json::is_blank(Some(value)) {
                self.lose(join(at, key), dialect);
            }
            false
        });
    }

    /// Lists the extras of a part that is told in pieces.
    pub(crate) fn list_extras(&mut self, extras: &Extras) {
        for extra in extras.0.iter().filter(|extra| !extra.value.is_blank()) {
            self.lose(join(extra.at, &extra.key), extra.dialect);
        }
    }

    /// Lists what a usage says beside its counts.
    pub(crate) fn list_usage(&mut self, usage: &str, dialect: Dialect) {
        let mut extras = Extras::default();
        unread::read(dialect, usage, &mut extras);
        self.list_extras(&extras);
    }

    fn lose(&mut self, path: String, dialect: Dialect) {
        if meaningless::reason(dialect, &path).is_none() {
            self.losses.add(path, dialect, "it is not translated in streams");
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    fn candidate(&mut self, candidate: u32) -> &mut CandidateTrack {
        let wanted = candidate as usize + 1;
        if self.candidates.len() < wanted {
            self.candidates.resize_with(wanted, CandidateTrack::default);
        }
        &mut self.candidates[candidate as usize]
    }

    /// Opens a part; `None` where the candidate is finished or its number is absurd.
    pub(crate) fn open(&mut self, candidate: u32, opening: Opening) -> Option<u32> {
        if self.over || candidate >= CANDIDATE_BOUND {
            return None;
        }
        self.start("", "", None);
        let books = self.candidate(candidate);
        if books.stopped {
            return None;
        }
        if books.open.len() == OPEN_BOUND {
            self.fail("the provider begins more parts than it ends");
            return None;
        }
        let part = books.next_part;
        books.next_part += 1;
        books.open.push((part, Takes::of(&opening)));
        self.push(ChatEvent::Opened { candidate, part, opening });
        Some(part)
    }

    pub(crate) fn delta(&mut self, candidate: u32, part: u32, delta: Delta) {
        match self.candidate(candidate).open.iter().find(|open| open.0 == part) {
            Some((_, takes)) if takes.fits(&delta) => {
                self.push(ChatEvent::Delta { candidate, part, delta });
            }
            Some(_) => self.fail("the provider goes on with a part as if it were of another kind"),
            None => {}
        }
    }

    pub(crate) fn close(&mut self, candidate: u32, part: u32) {
        let books = self.candidate(candidate);
        let before = books.open.len();
        books.open.retain(|open| open.0 != part);
        if books.open.len() < before {
            self.push(ChatEvent::Closed { candidate, part });
        }
    }

    /// A part that comes in one piece.
    pub(crate) fn whole(&mut self, candidate: u32, part: crate::chat::Part) {
        if let Some(part) = self.open(candidate, Opening::Whole(Box::new(part))) {
            self.close(candidate, part);
        }
    }

    pub(crate) fn stop(&mut self, candidate: u32, stop: Stop) {
        if candidate >= CANDIDATE_BOUND || self.over {
            return;
        }
        self.start("", "", None);
        let open = self.candidate(candidate).open.clone();
        for (part, _) in open {
            self.close(candidate, part);
        }
        if !std::mem::replace(&mut self.candidate(candidate).stopped, true) {
            self.push(ChatEvent::Stopped { candidate, stop });
        }
    }

    pub(crate) fn usage(&mut self, usage: Option<crate::Usage>) {
        if let (Some(usage), true) = (usage, self.started) {
            self.push(ChatEvent::Usage(usage));
        }
    }

    /// The dialect's own end.
    pub(crate) fn end(&mut self) {
        if self.started && !std::mem::replace(&mut self.over, true) {
            self.events.push(ChatEvent::Ended);
        }
    }

    pub(crate) fn fail_with(&mut self, data: &str) {
        let error = parse_error(data.as_bytes()).unwrap_or_else(|| ParsedError {
            message: "the provider told an error without words".to_owned(),
            ..ParsedError::default()
        });
        if !std::mem::replace(&mut self.over, true) {
            self.events.push(ChatEvent::Failed(error));
        }
    }

    pub(crate) fn fail(&mut self, message: &str) {
        if !std::mem::replace(&mut self.over, true) {
            let error = ParsedError { message: message.to_owned(), ..ParsedError::default() };
            self.events.push(ChatEvent::Failed(error));
        }
    }

    /// An id for a call that came without one: the same for the same stream however it was cut.
    pub(crate) fn mint_call_id(&mut self) -> String {
        self.minted += 1;
        mint_call_id(&self.name(), self.minted)
    }

    pub(crate) fn is_nameless(&self) -> bool {
        self.id.is_empty()
    }

    /// What tells this answer from others: its id, or all that it has said where it has none.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        if self.id.is_empty() { self.said.name().into() } else { (&self.id).into() }
    }
}

fn is_whole(framing: Framing, frame: &[u8]) -> bool {
    let Some(data) = read_content(framing, frame).data else { return false };
    let data = data.trim_ascii();
    data == b"[DONE]" || std::str::from_utf8(data).is_ok_and(json::is_whole)
}
