//! Events, as the stream a client of another dialect expects.
//!
//! In: [`ChatEvent`]s in their order. Out: frames. It must never write an end that no event told, and hold no more of
//! the answer than the parts that its dialect cannot interleave, or must repeat; it says how much that is.

use crate::{
    Dialect, anthropic_messages,
    event::{ChatEvent, Delta},
    gemini_generate,
    loss::Losses,
    openai_chat, openai_responses,
    translate::{Telling, undo::Undo},
};

#[derive(Debug)]
pub struct StreamEncoder {
    writer: Writer,
    undo: Undo,
    losses: Losses,
    /// Bytes of the answer that are held, or were.
    held: usize,
}

#[derive(Debug)]
enum Writer {
    Chat(openai_chat::stream::Encoder),
    Responses(Box<openai_responses::stream::Encoder>),
    Anthropic(anthropic_messages::stream::Encoder),
    Gemini(gemini_generate::stream::Encoder),
}

impl StreamEncoder {
    pub fn new(dialect: Dialect, mut telling: Telling) -> StreamEncoder {
        let undo = Undo::new(std::mem::take(&mut telling.custom_tools), std::mem::take(&mut telling.renamed));
        let writer = match dialect {
            Dialect::OpenaiChat => Writer::Chat(openai_chat::stream::Encoder::new(telling)),
            Dialect::OpenaiResponses => {
                Writer::Responses(Box::new(openai_responses::stream::Encoder::new(telling)))
            }
            Dialect::AnthropicMessages => {
                Writer::Anthropic(anthropic_messages::stream::Encoder::new(telling))
            }
            Dialect::GeminiGenerate => Writer::Gemini(gemini_generate::stream::Encoder::new(telling)),
        };
        StreamEncoder { writer, undo, losses: Losses::default(), held: 0 }
    }

    /// Appends the frames of an event. `Failed` writes nothing: the error's words are the gateway's to choose, and
    /// [`encode_error`](crate::encode_error) writes them.
    pub fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        let repeats = matches!(self.writer, Writer::Responses(_));
        // A call's input may be held until it is whole.
        if repeats || matches!(event, ChatEvent::Delta { delta: Delta::Input(_), .. }) {
            self.held += event.bytes();
        }
        let (writer, losses) = (&mut self.writer, &mut self.losses);
        self.undo.pass(event, |event| match writer {
            Writer::Chat(writer) => writer.write(event, out, losses),
            Writer::Responses(writer) => writer.write(event, out, losses),
            Writer::Anthropic(writer) => writer.write(event, out, losses),
            Writer::Gemini(writer) => writer.write(event, out, losses),
        });
    }

    /// The number for an event that the gateway adds (Responses' `sequence_number`).
    pub fn next_sequence(&self) -> u64 {
        match &self.writer {
            Writer::Responses(writer) => writer.next_sequence(),
            Writer::Chat(_) | Writer::Anthropic(_) | Writer::Gemini(_) => 0,
        }
    }

    /// The texts told so far that a client may name by an id instead of sending them (Responses); to be asked before
    /// `Ended` is written.
    pub fn named_texts(&self) -> Vec<(String, String)> {
        match &self.writer {
            Writer::Responses(writer) => writer.named_texts(),
            Writer::Chat(_) | Writer::Anthropic(_) | Writer::Gemini(_) => Vec::new(),
        }
    }

    /// Bytes of the answer that it had to hold so far: all of it for Responses, whose last event repeats it; for the others
    /// what calls were asked, and what came while another part was open. To be bounded by who feeds it.
    pub fn held(&self) -> usize {
        let waited = match &self.writer {
            Writer::Anthropic(writer) => writer.waited(),
            Writer::Chat(_) | Writer::Responses(_) | Writer::Gemini(_) => 0,
        };
        self.held + waited
    }

    pub fn losses(&self) -> &Losses {
        &self.losses
    }
}
