//! Watching a reply go by: usage, end, error. The bytes are forwarded as they came.
//!
//! In: a reply's bytes in pieces of any size. Out: slices of the same bytes (but for the usage chunk that Sluice asked
//! for, and an error's frame with all after it), and what they say. Facts and output must not depend on where the
//! pieces were cut; what is held is bounded by [`FRAME_BOUND`].

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::{
    Accounting, Dialect, Door, Framing, Operation, ParsedError, Usage, anthropic_messages,
    facts::{Facts, Frame},
    frame::{Content, LongFrame, Scan, read_content},
    gemini_generate, json, openai_chat, openai_responses,
    plain::{self, PLAIN_MEMBERS},
    sieve::Members,
    text::{Delivered, texts_of},
};

/// A frame longer than this is not held until it is whole, but passes. Ordinary events are some hundred bytes; only
/// pictures, tool results and the events that repeat a whole response are longer.
const FRAME_BOUND: usize = 64 * 1024;

/// A frame of which this much has passed is taken for content before its end is seen: the gateway holds back what is
/// not meaningful yet, and must not hold forty megabytes of picture.
const LIFECYCLE_BOUND: u64 = 1024 * 1024;

/// How a tap is set up.
#[derive(Clone, Copy, Debug)]
pub struct TapOptions {
    pub door: Door,
    pub accounting: Accounting,
    /// Take the usage-only chunk out of a chat stream: Sluice asked for it, the client did not.
    pub strip_usage: bool,
}

/// What one call of [`Tap::feed`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Whole frames completed by this chunk, pings and comments not counted.
    pub events: u32,
    /// A frame is under way (bytes are held back, or an oversized frame is passing).
    pub mid_frame: bool,
}

/// Watches a streamed reply.
#[derive(Debug)]
pub struct Tap {
    options: TapOptions,
    framing: Framing,
    scan: Scan,
    /// The beginning of a frame whose end has not come yet.
    held: BytesMut,
    /// The frame under way is too long to be held; what of it has come was forwarded.
    long: Option<Box<LongFrame>>,
    reader: Reader,
    facts: Facts,
    error: Option<(Bytes, ParsedError)>,
    forwarded_any: bool,
    /// The last frame was forwarded without its end.
    unterminated: bool,
}

/// The dialect's reading of a frame's data, with what it must remember from frame to frame.
#[derive(Debug)]
enum Reader {
    Chat(openai_chat::Reader),
    Responses,
    Anthropic(anthropic_messages::Reader),
    Gemini(gemini_generate::Reader),
}

impl Tap {
    pub fn new(options: TapOptions, framing: Framing) -> Tap {
        let reader = match options.door.dialect {
            Dialect::OpenaiChat => {
                Reader::Chat(openai_chat::Reader::new(options.accounting, texts_of(options.door)))
            }
            Dialect::OpenaiResponses => Reader::Responses,
            Dialect::AnthropicMessages => Reader::Anthropic(anthropic_messages::Reader::default()),
            Dialect::GeminiGenerate => Reader::Gemini(gemini_generate::Reader::default()),
        };
        Tap {
            options,
            framing,
            scan: Scan::new(framing),
            held: BytesMut::new(),
            long: None,
            reader,
            facts: Facts::default(),
            error: None,
            forwarded_any: false,
            unterminated: false,
        }
    }

    /// Takes bytes as they came and appends to `out` what may go to the client now.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Flow {
        let mut events = 0;
        // `passed..at` are bytes of this chunk that may go, and were not appended yet: mostly the whole chunk at once.
        // After an array's or a document's end the rest goes unread.
        let (mut passed, mut at) = (0, 0);
        while at < chunk.len() && self.error.is_none() {
            if self.scan.is_over() {
                at = chunk.len();
                break;
            }
            let found = self.scan.find_end(&chunk[at..]).map(|length| at + length);
            let end = found.unwrap_or(chunk.len());
            let piece = &chunk[at..end];
            if self.long.is_some() || self.held.len() + piece.len() > FRAME_BOUND {
                if !self.held.is_empty() {
                    out.push(self.held.split().freeze());
                    let held = out.last().cloned().unwrap_or_default();
                    self.pass_long(&held);
                }
                self.pass_long(piece);
                if found.is_some() {
                    events += self.end_long();
                }
            } else if found.is_none() {
                append(out, chunk.slice(passed..at));
                self.held.extend_from_slice(piece);
                passed = end;
            } else if self.held.is_empty() {
                let frame = self.read_frame(piece);
                events += frame.counts();
                if frame.withheld(self.options.strip_usage) {
                    append(out, chunk.slice(passed..at));
                    passed = end;
                    self.keep_error(frame, || chunk.slice(at..end));
                }
            } else {
                // Only the first frame of a chunk can have its beginning held: nothing of this chunk has passed yet.
                self.held.extend_from_slice(piece);
                let whole = self.held.split().freeze();
                let frame = self.read_frame(&whole);
                events += frame.counts();
                passed = end;
                if frame.withheld(self.options.strip_usage) {
                    self.keep_error(frame, || whole);
                } else {
                    out.push(whole);
                }
            }
            at = end;
        }
        if passed == 0 && at == chunk.len() {
            append(out, chunk);
        } else {
            append(out, chunk.slice(passed..at));
        }
        Flow { events, mid_frame: !self.held.is_empty() || self.long.is_some() }
    }

    /// The upstream ended cleanly: settles what a last frame without its blank line says, and appends it.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        if self.error.is_some() {
            return;
        }
        if self.long.is_some() {
            self.end_long();
            self.unterminated = true;
            return;
        }
        if self.held.is_empty() {
            return;
        }
        let last = self.held.split().freeze();
        let ended = self.scan.awaits_line_feed();
        if !ended && !self.is_whole(&last) {
            return;
        }
        let frame = self.read_frame(&last);
        if frame.withheld(self.options.strip_usage) {
            self.keep_error(frame, || last);
        } else {
            out.push(last);
            self.unterminated = !ended;
        }
    }

    /// What is held is an event that only lacks its blank line. A partial number or word would look whole, too, so
    /// only objects count.
    fn is_whole(&self, frame: &[u8]) -> bool {
        let Some(data) = read_content(self.framing, frame).data else { return false };
        let data = data.trim_ascii();
        data == b"[DONE]"
            || data.first() == Some(&b'{') && std::str::from_utf8(data).is_ok_and(json::is_whole)
    }

    fn read_frame(&mut self, frame: &[u8]) -> Frame {
        let Content { event, data, last } = read_content(self.framing, frame);
        self.facts.closed |= last;
        match data {
            Some(data) => self.read_data(event, &data),
            None => Frame::Ping,
        }
    }

    fn read_data(&mut self, event: Option<&[u8]>, data: &[u8]) -> Frame {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Frame::Ping;
        }
        let data = match std::str::from_utf8(data) {
            Ok(data) => Cow::Borrowed(data),
            Err(_) => String::from_utf8_lossy(data),
        };
        let frame = if self.framing == Framing::Document {
            self.read_document(&data)
        } else if data == "[DONE]" {
            match &self.reader {
                Reader::Chat(reader) => reader.read_done(&mut self.facts),
                // `done-after-completed`.
                _ => self.facts.closed |= self.facts.ended,
            }
            Frame::Event
        } else {
            match &mut self.reader {
                Reader::Chat(reader) => reader.read(event, &data, &mut self.facts),
                Reader::Responses => openai_responses::read(event, &data, &mut self.facts),
                Reader::Anthropic(reader) => reader.read(event, &data, &mut self.facts),
                Reader::Gemini(reader) => reader.read(event, &data, &mut self.facts),
            }
        };
        self.forwarded_any |= !frame.withheld(self.options.strip_usage) && !matches!(frame, Frame::Ping);
        frame
    }

    fn read_document(&mut self, document: &str) -> Frame {
        let (plain, _) = plain::read(&self.options, document);
        self.facts.learn_usage(plain.usage);
        self.facts.stored_id = plain.stored_id;
        if let Some(error) = plain.error {
            return Frame::Error(Box::new(error));
        }
        if plain.content {
            self.facts.close();
            self.facts.delivered.count(texts_of(self.options.door), document);
        }
        Frame::Event
    }

    fn pass_long(&mut self, bytes: &[u8]) {
        let members = choose_members(self.options.door.dialect, self.framing);
        let texts = texts_of(self.options.door);
        let long = self.long.get_or_insert_with(|| Box::new(LongFrame::new(self.framing, members, texts)));
        long.feed(bytes);
        self.facts.meaningful |= long.length() > LIFECYCLE_BOUND;
        self.forwarded_any = true;
    }

    /// Reads the digest of the long frame; how many events it was. An error is on its way to the client already.
    fn end_long(&mut self) -> u32 {
        let Some(long) = self.long.take() else { return 0 };
        let (event, digest, delivered) = long.finish();
        // Without a digest it is a comment, no JSON, or too much: forwarded, and not understood.
        let Some(digest) = digest else { return 1 };
        let frame = self.read_data(event.as_deref(), &digest);
        if !matches!(frame, Frame::Error(_)) && !self.repeats(&frame) {
            self.facts.delivered.append(&delivered);
        }
        let counts = frame.counts();
        self.keep_error(frame, Bytes::new);
        counts
    }

    /// The events of responses that are too long to be held say again what came in pieces before.
    fn repeats(&self, frame: &Frame) -> bool {
        matches!((self.options.door.dialect, frame), (Dialect::OpenaiResponses, Frame::Event))
    }

    fn keep_error(&mut self, frame: Frame, bytes: impl FnOnce() -> Bytes) {
        if let Frame::Error(error) = frame {
            self.error = Some((bytes(), *error));
        }
    }

    /// A frame with content, or the dialect's end, was seen: not a ping, not a lifecycle frame, not an error.
    pub fn meaningful(&self) -> bool {
        self.facts.meaningful
    }

    /// The dialect's end was seen: if the upstream ends now, the answer is whole.
    pub fn ended(&self) -> bool {
        self.facts.ended
    }

    /// Nothing may follow any more (`[DONE]`, `message_stop`, `response.completed` …).
    pub fn closed(&self) -> bool {
        self.facts.closed
    }

    /// The dialect has no word for [`Tap::closed`], and all that it says at an end was said: whatever follows does so at once.
    pub fn summed_up(&self) -> bool {
        self.facts.summed_up
    }

    /// The first error event: its frame's bytes (not forwarded by `feed`) and what it says. Nothing is forwarded after
    /// it. The bytes are empty when the frame was too long to be held: then it has gone to the client.
    pub fn error(&self) -> Option<(&Bytes, &ParsedError)> {
        self.error.as_ref().map(|(bytes, error)| (bytes, error))
    }

    /// Bytes of a frame that has not ended were already forwarded: it must be closed before anything else is written.
    pub fn broken_frame_sent(&self) -> bool {
        self.long.is_some() || self.unterminated
    }

    /// The number for an event that Sluice adds (Responses' `sequence_number`).
    pub fn next_sequence(&self) -> u64 {
        self.facts.next_sequence
    }

    /// Frames that were forwarded (for a JSON array: elements); comments and pings do not count.
    pub fn forwarded_any(&self) -> bool {
        self.forwarded_any
    }

    pub fn usage(&self) -> Option<Usage> {
        let counted = !matches!(self.options.door.operation, Operation::CountTokens | Operation::Stored);
        self.facts.usage.filter(|_| counted)
    }

    /// Whether the usage is of all that was delivered: where it is said at the beginning, it is not.
    pub fn usage_is_final(&self) -> bool {
        !self.facts.provisional
    }

    /// What was written so far, for when nobody says how much it was.
    pub fn delivered(&self) -> &Delivered {
        &self.facts.delivered
    }

    /// The id of a stored object in the reply (Responses: `response.id`).
    pub fn stored_id(&self) -> Option<&str> {
        self.facts.stored_id.as_deref()
    }
}

impl Frame {
    fn counts(&self) -> u32 {
        u32::from(!matches!(self, Frame::Ping))
    }

    fn withheld(&self, strip_usage: bool) -> bool {
        match self {
            Frame::Error(_) => true,
            Frame::UsageOnly => strip_usage,
            Frame::Ping | Frame::Event => false,
        }
    }
}

fn append(out: &mut Vec<Bytes>, bytes: Bytes) {
    if !bytes.is_empty() {
        out.push(bytes);
    }
}

fn choose_members(dialect: Dialect, framing: Framing) -> Members {
    match (framing, dialect) {
        (Framing::Document, _) => PLAIN_MEMBERS,
        (_, Dialect::OpenaiChat) => openai_chat::STREAM_MEMBERS,
        (_, Dialect::OpenaiResponses) => openai_responses::STREAM_MEMBERS,
        (_, Dialect::AnthropicMessages) => anthropic_messages::STREAM_MEMBERS,
        (_, Dialect::GeminiGenerate) => gemini_generate::STREAM_MEMBERS,
    }
}
