//! The four dialects: the shapes in which a `Reply` is said.
//!
//! In: a `Reply` and pieces of text; out: JSON bodies and stream events in each dialect's strict order. The
//! dispatch is here, the shapes are one module each. It must never know about sockets or faults.

mod anthropic_messages;
mod gemini_generate;
mod openai_chat;
mod openai_responses;

pub(crate) use openai_chat::{completion, embeddings, moderations};
pub(crate) use openai_responses::{StoredResponse, stored_answer};

use crate::error_body::Failure;
use crate::frames::{Frames, Framing};
use crate::operation::Dialect;
use crate::reply::Reply;

/// Writes the plain answer.
pub(crate) fn plain(dialect: Dialect, reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    match dialect {
        Dialect::OpenaiChat => openai_chat::plain(reply, text, out),
        Dialect::OpenaiResponses => openai_responses::plain(reply, text, out),
        Dialect::AnthropicMessages => anthropic_messages::plain(reply, text, out),
        Dialect::GeminiGenerate => gemini_generate::plain(reply, text, out),
    }
}

/// A stream as it is told: frames are collected in `frames`, the caller sends and clears them.
pub(crate) struct Telling<'a> {
    pub(crate) dialect: Dialect,
    /// The older `/completions` streams another shape.
    pub(crate) is_completion: bool,
    pub(crate) reply: &'a Reply<'a>,
    pub(crate) frames: Frames,
    /// Numbers the events of a Responses stream.
    sequence: u64,
    /// The text so far.
    pub(crate) text: String,
    /// Content events so far.
    pub(crate) told: usize,
}

impl<'a> Telling<'a> {
    pub(crate) fn new(
        dialect: Dialect,
        is_completion: bool,
        reply: &'a Reply<'a>,
        framing: Framing,
        comments: bool,
    ) -> Telling<'a> {
        let frames = Frames::new(framing, comments);
        Telling { dialect, is_completion, reply, frames, sequence: 0, text: String::new(), told: 0 }
    }

    /// The events before the first content.
    pub(crate) fn open(&mut self) {
        match self.dialect {
            Dialect::OpenaiChat if self.is_completion => {}
            Dialect::OpenaiChat => openai_chat::open(self),
            Dialect::OpenaiResponses => openai_responses::open(self),
            Dialect::AnthropicMessages => anthropic_messages::open(self),
            Dialect::GeminiGenerate => gemini_generate::open(self),
        }
    }

    /// Only those opening events that say nothing at all.
    pub(crate) fn open_without_content(&mut self) {
        match self.dialect {
            Dialect::GeminiGenerate => gemini_generate::empty(self),
            _ => self.open(),
        }
    }

    /// One content event.
    pub(crate) fn content(&mut self, piece: &str) {
        self.text.push_str(piece);
        match self.dialect {
            Dialect::OpenaiChat if self.is_completion => openai_chat::completion_content(self, piece),
            Dialect::OpenaiChat => openai_chat::content(self, piece),
            Dialect::OpenaiResponses => openai_responses::content(self, piece),
            Dialect::AnthropicMessages => anthropic_messages::content(self, piece),
            Dialect::GeminiGenerate => gemini_generate::content(self, piece),
        }
        self.told += 1;
    }

    /// The events after the last content, the terminal one included.
    pub(crate) fn close(&mut self, with_done: bool) {
        match self.dialect {
            Dialect::OpenaiChat => openai_chat::close(self, with_done),
            Dialect::OpenaiResponses => openai_responses::close(self),
            Dialect::AnthropicMessages => anthropic_messages::close(self),
            Dialect::GeminiGenerate => gemini_generate::close(self),
        }
    }

    /// An error inside the stream.
    pub(crate) fn fail(&mut self, failure: &Failure<'_>) {
        let (_, error) = failure.worded();
        match self.dialect {
            Dialect::OpenaiResponses => openai_responses::fail(self, &error),
            Dialect::AnthropicMessages => self.frames.event(Some("error"), |out| write_json(out, &error)),
            Dialect::OpenaiChat | Dialect::GeminiGenerate => {
                self.frames.event(None, |out| write_json(out, &error));
                self.frames.close();
            }
        }
    }

    /// A sign of life without content.
    pub(crate) fn ping(&mut self) {
        match self.dialect {
            Dialect::AnthropicMessages => anthropic_messages::ping(self),
            _ => self.frames.comment(": still at work"),
        }
    }

    /// The next number of a Responses event.
    fn next_sequence(&mut self) -> u64 {
        let number = self.sequence;
        self.sequence += 1;
        number
    }

    /// Output tokens so far.
    fn output(&self) -> u64 {
        self.reply.tokens_of(self.text.len())
    }
}

fn write_json(out: &mut Vec<u8>, value: &serde_json::Value) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, value);
}
