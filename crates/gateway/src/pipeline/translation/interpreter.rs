//! A streamed answer, told in the caller's dialect as it comes.
//!
//! In: what the tap lets pass of the provider's bytes. Out: frames of the caller's dialect. It holds one frame of the
//! provider's, and of the answer no more than its dialect makes necessary; it must never write an end that was not told.

use std::sync::Arc;

use bytes::Bytes;
use dialect::{
    Framing,
    event::ChatEvent,
    loss::Losses,
    translate::{StreamDecoder, StreamEncoder},
};

use super::{Translated, WHOLE_BYTES, listener::Listener, thinking::Keeper};
use crate::fault::UpstreamFault;

#[derive(Debug)]
pub struct Interpreter {
    decoder: StreamDecoder,
    encoder: StreamEncoder,
    /// Where tools are offered.
    listener: Option<Listener>,
    /// Where the client may name a text by its id.
    keeper: Option<Keeper>,
    /// Filled by the decoder, emptied at once: kept so that it is not allocated anew.
    events: Vec<ChatEvent>,
    /// How the caller's stream is framed.
    framing: Framing,
    /// Whose the tokens of the answer are.
    maker: Arc<str>,
    /// The caller asked for one answer: where that has ended, no other begins.
    one: bool,
    wrote_any: bool,
    ended: bool,
    failed: Option<Failure>,
}

/// Why an answer cannot be told any further.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// What the provider sent is no answer in its dialect.
    NoAnswer(String),
    /// More of it would have to be held than is.
    TooLong,
}

impl Failure {
    pub fn fault(&self) -> UpstreamFault {
        match self {
            Failure::NoAnswer(detail) => UpstreamFault::Unreadable { detail: detail.clone() },
            Failure::TooLong => UpstreamFault::TooLong,
        }
    }
}

impl Interpreter {
    /// `came`: how the provider's stream is framed.
    pub(super) fn new(translated: Translated, came: Framing) -> Interpreter {
        Interpreter {
            decoder: StreamDecoder::new(translated.door.dialect, came, translated.accounting),
            framing: translated.stream_framing(),
            encoder: StreamEncoder::new(translated.from, translated.telling),
            listener: translated.listener,
            keeper: translated.keeper,
            maker: translated.maker,
            one: translated.one,
            events: Vec::new(),
            wrote_any: false,
            ended: false,
            failed: None,
        }
    }

    /// Takes what came, in its pieces, and appends what the caller gets for it, if anything.
    pub fn pass(&mut self, pieces: impl Iterator<Item = Bytes>, out: &mut impl Extend<Bytes>) {
        for piece in pieces {
            self.decoder.feed(&piece, &mut self.events);
        }
        self.write(out);
    }

    /// No more will come: two dialects end like this.
    pub fn finish(&mut self, out: &mut impl Extend<Bytes>) {
        self.decoder.finish(&mut self.events);
        self.write(out);
    }

    fn write(&mut self, out: &mut impl Extend<Bytes>) {
        let mut frames = Vec::new();
        for mut event in self.events.drain(..) {
            if self.failed.is_some() {
                break; // Nothing is told behind a failure, least of all an end.
            }
            event.made_by(&self.maker);
            match &event {
                ChatEvent::Failed(error) => self.failed = Some(Failure::NoAnswer(error.message.clone())),
                ChatEvent::Ended => {
                    self.ended = true;
                    if let Some(keeper) = &self.keeper {
                        keeper.keep_texts(self.encoder.named_texts());
                    }
                }
                _ => {}
            }
            if let Some(listener) = &mut self.listener {
                listener.hear(&event);
            }
            self.encoder.write(&event, &mut frames);
            if self.encoder.held() > WHOLE_BYTES {
                self.failed = Some(Failure::TooLong);
            }
        }
        if !frames.is_empty() {
            self.wrote_any = true;
            out.extend([Bytes::from(frames)]);
        }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// There is one answer to tell, and no other beside it.
    pub fn tells_one(&self) -> bool {
        self.one
    }

    /// The caller was told the answer's end.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Why what came cannot be told.
    pub fn failed(&self) -> Option<&Failure> {
        self.failed.as_ref()
    }

    pub fn wrote_any(&self) -> bool {
        self.wrote_any
    }

    /// The number for an event that the gateway adds.
    pub fn next_sequence(&self) -> u64 {
        self.encoder.next_sequence()
    }

    /// What of the answer so far could not be told.
    pub fn losses(&self) -> Losses {
        let mut losses = self.decoder.losses().clone();
        losses.append(self.encoder.losses().clone());
        losses
    }
}
