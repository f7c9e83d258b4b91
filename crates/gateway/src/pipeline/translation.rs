//! The translated lane: a request told in another dialect, and its answer told back.
//!
//! In: the caller's request, and a channel that speaks another dialect. Out: the body that goes to it, and what makes its
//! answer readable to the caller. It comes to life only where such a channel is tried. It must never leave anything out in
//! silence: what cannot be carried is a loss, or a fault that names it.

mod interpreter;
mod listener;
mod thinking;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use dialect::{
    Accounting, Dialect, Door, Framing, Operation,
    chat::{ChatRequest, Extra, Thinking, Tool},
    loss::{Loss, Losses},
    translate::{
        FromPath, Target, Telling, ThinkingForm, Untranslatable, check_answer, decode_counted, decode_reply,
        decode_request, encode_counted, encode_reply, encode_reply_as_stream, encode_request, named_texts,
        read_count, write_count,
    },
    tree::Json,
};
use uuid::Uuid;

pub use interpreter::{Failure, Interpreter};
use listener::Listener;
use thinking::{Keeper, MOST_PUT_BACK};

use crate::{
    catalog::Channel,
    fault::{ClientFault, Fault, UpstreamFault},
    pipeline::{
        caller::Caller,
        count,
        inbound::{Held, Inbound},
        lease::Lease,
        plan::Wanted,
    },
    provider,
    suffix::Suffix,
    thoughts::Thoughts,
};

/// A whole answer up to this size is translated, and of a streamed one what must be held: more than any answer of words has,
/// and most pictures.
pub const WHOLE_BYTES: usize = 16 * 1024 * 1024;
/// What is made of a body, in its own size: the request opened, and as it goes out. A picture is as long in each.
const MADE: usize = 2;
/// Below this limit an Anthropic model cannot be told to think: its least budget, and as much for the answer.
const LEAST_THINKING: u64 = 2048;
/// OpenAI's responses refuse a lower limit.
const LEAST_RESPONSE: u64 = 16;

/// What a request needs where it is translated: it is opened once, however many channels are tried.
#[derive(Debug)]
pub struct Translator {
    /// `None`: it cannot be opened.
    letter: Option<Letter>,
    /// Why not, until that was told.
    unopened: Option<Fault>,
}

impl Translator {
    pub fn new(thoughts: &Arc<Thoughts>, inbound: &Inbound, caller: &Caller, lease: &Lease) -> Translator {
        let room = inbound.remembered.unwrap_or(MOST_PUT_BACK);
        let keeper = Keeper { thoughts: thoughts.clone(), caller: caller.id(), clock: lease.clock(), room };
        match Letter::open(inbound, caller.key.refuses_losses, keeper, lease.request_id()) {
            Ok(letter) => Translator { letter: Some(letter), unopened: None },
            Err(fault) => Translator { letter: None, unopened: Some(fault) },
        }
    }

    /// Tells the request to a channel in the first of its dialects that has a place for it; `Err`: it cannot be told. `None` in
    /// it: why was said before, or the channel speaks no dialect for that, which a plan does not hold.
    pub fn tell(&mut self, channel: &Channel, wanted: &Wanted) -> Result<Box<Translated>, Option<Fault>> {
        let Some(letter) = &mut self.letter else { return Err(self.unopened.take()) };
        let mut refused = None;
        for to in channel.translates_to(letter.asked.operation) {
            match letter.tell(channel, to, wanted) {
                Ok(told) => return Ok(Box::new(told)),
                Err(fault) => _ = refused.get_or_insert(fault),
            }
        }
        Err(refused)
    }
}

/// The caller's request, opened.
#[derive(Debug)]
struct Letter {
    /// Where it came in.
    asked: Door,
    request: ChatRequest,
    /// Bytes of the texts in it that the caller only named.
    put_back: usize,
    /// Tools whose input is free text: where they went out as functions, the answer is told as the caller knows them.
    custom_tools: Vec<String>,
    json_array: bool,
    /// What a strict key's answer may have at most.
    output_limit: Option<u64>,
    /// The key wants it told whole, or not at all.
    refuses_losses: bool,
    /// What it takes beside the body that it came as.
    held: Held,
    keeper: Keeper,
    /// For answers that come without an id.
    request_id: Uuid,
}

/// The request as one channel gets it, and how its answer is told.
#[derive(Debug)]
pub struct Translated {
    /// Where it goes in.
    pub door: Door,
    pub body: Bytes,
    pub losses: Losses,
    from: Dialect,
    /// Whose the tokens of the answer are.
    maker: Arc<str>,
    accounting: Accounting,
    telling: Telling,
    /// The caller asked for one answer.
    one: bool,
    /// He asked for a stream.
    streams: bool,
    listener: Option<Listener>,
    /// Where the caller may name this answer's texts by their ids in his next request.
    keeper: Option<Keeper>,
}

impl Letter {
    fn open(
        inbound: &Inbound,
        refuses_losses: bool,
        keeper: Keeper,
        request_id: Uuid,
    ) -> Result<Letter, Fault> {
        let path = FromPath { model: &inbound.model, stream: inbound.stream };
        let (body, asked) = (inbound.told_body(), inbound.door);
        let mut held = inbound.share();
        held.grow(MADE * body.len())?;
        let opened = match asked.operation {
            Operation::CountTokens => decode_counted(asked.dialect, &body, path),
            _ => decode_request(asked.dialect, &body, path),
        };
        let mut request = opened.map_err(|error| fault_of(error, &inbound.model))?;
        let mut put_back = 0;
        if let Some(known) = keeper.put_texts(&request) {
            (request, put_back) = known;
            held.grow(MADE * put_back)?;
        }
        let free_text = |tool: &Tool| match tool {
            Tool::Custom { name, .. } => Some(name.clone()),
            Tool::Function(_) | Tool::Server { .. } => None,
        };
        let custom_tools = request.tools.iter().filter_map(free_text).collect();
        Ok(Letter {
            asked,
            request,
            put_back,
            custom_tools,
            json_array: inbound.wants_array(),
            output_limit: inbound.output_limit,
            refuses_losses,
            held,
            keeper,
            request_id,
        })
    }

    fn tell(&mut self, channel: &Channel, to: Dialect, wanted: &Wanted) -> Result<Translated, Fault> {
        let model = &*wanted.model;
        let refused = |error| fault_of(error, model);
        let counts = self.asked.operation == Operation::CountTokens;
        if !counts {
            check_answer(&self.request, self.asked.dialect, to).map_err(refused)?;
        }
        if to == Dialect::OpenaiResponses && self.output_limit.is_some_and(|limit| limit < LEAST_RESPONSE) {
            let reason = "it writes 16 tokens at least, which is more than the key can pay for";
            return Err(refused(Untranslatable::Unsupported {
                field: "max_tokens".into(),
                dialect: to,
                reason,
            }));
        }
        let target = target(channel, to, channel.rename(model), self.output_limit);
        let wished = wanted.suffix.and_then(|suffix| wished(&self.request, suffix, to));
        let request = wished.as_ref().unwrap_or(&self.request);
        let maker = channel.makers.in_dialect(to);
        let own = request.without_tokens_of_others(to, maker);
        let request = own.as_ref().unwrap_or(request);
        let restored = self.keeper.restore(request, self.put_back, to, maker, &target);
        if let Some((_, restored)) = &restored {
            self.held.grow(*restored)?;
        }
        let request = restored.as_ref().map_or(request, |(request, _)| request);
        let encode = if counts { encode_counted } else { encode_request };
        let mut encoded = encode(to, request, &target).map_err(refused)?;
        if own.is_some() {
            encoded.losses.add(
                "messages.reasoning",
                to,
                "another provider of this dialect, or another account there, gave it out",
            );
        }
        // Who offers no tools has no loop that goes on.
        let listens = !counts && !request.tools.is_empty();
        if let (true, Some(loss)) = (self.refuses_losses, encoded.losses.rows().first()) {
            return Err(Fault::Client(would_lose(model, loss)));
        }
        Ok(Translated {
            door: Door { dialect: to, ..self.asked },
            body: encoded.body.into(),
            losses: encoded.losses,
            from: self.asked.dialect,
            maker: maker.clone(),
            streams: self.request.stream,
            one: request.candidates.is_none_or(|candidates| candidates <= 1),
            keeper: self.names_texts().then(|| self.keeper.clone()),
            listener: listens.then(|| Listener::new(self.keeper.clone(), to, maker.clone(), &target)),
            accounting: channel.provider.accounting(to),
            telling: Telling {
                model: model.to_owned(),
                id: format!("sluice-{}", self.request_id.simple()),
                now_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                wants_usage: self.request.wants_usage,
                custom_tools: self.custom_tools.clone(),
                renamed: encoded.renamed,
                old_functions: self.request.old_functions,
                json_array: self.json_array,
            },
        })
    }

    /// The caller takes the provider for one that keeps answers, unless he says that it is not to.
    fn names_texts(&self) -> bool {
        let told_not_to = |extra: &Extra| extra.key == "store" && extra.value == Json::Bool(false);
        self.asked == Door::new(Dialect::OpenaiResponses, Operation::Chat)
            && !self.request.extras.0.iter().any(told_not_to)
    }
}

/// The request with what the model's name says of thinking; `None`: it says it itself.
fn wished(request: &ChatRequest, suffix: Suffix, to: Dialect) -> Option<ChatRequest> {
    let said = request.thinking.mode.is_some() || request.thinking.effort.is_some();
    let shown = request.thinking.shown;
    let thinking = Thinking { shown, ..suffix.wish() }.worded(to);
    (!said).then(|| ChatRequest { thinking, ..request.clone() })
}

/// What is known of a model at a channel, by its name there. `output_limit`: what a strict key's answer may have at most.
pub fn target<'a>(channel: &Channel, to: Dialect, renamed: &'a str, output_limit: Option<u64>) -> Target<'a> {
    let mut target = provider::target(channel.provider, to, renamed);
    target.drops_server_tools = channel.config.drop_server_tools;
    target.ceiling = output_limit;
    // Its limit would have to be raised, and the key cannot pay for more.
    if to == Dialect::AnthropicMessages && output_limit.is_some_and(|limit| limit < LEAST_THINKING) {
        target.thinking = ThinkingForm::Never;
    }
    target
}

/// Gemini from 3 on: a call without a signature is refused.
pub fn signs_calls(channel: &Channel, dialect: Dialect, renamed: &str) -> bool {
    dialect == Dialect::GeminiGenerate
        && target(channel, dialect, renamed, None).thinking == ThinkingForm::Effort
}

impl Translated {
    pub fn accounting(&self) -> Accounting {
        self.accounting
    }

    /// How the caller reads a whole answer.
    pub fn whole_framing(&self) -> Framing {
        if self.streams { self.stream_framing() } else { Framing::Document }
    }

    /// How he reads a stream.
    fn stream_framing(&self) -> Framing {
        if self.telling.json_array { Framing::JsonArray } else { Framing::Sse }
    }

    /// A whole answer in the caller's dialect, and what it lost.
    pub fn reply(&mut self, body: &[u8]) -> Result<(Bytes, Losses), UpstreamFault> {
        if self.door.operation == Operation::CountTokens {
            let tokens = read_count(self.door.dialect, body).ok_or_else(count::without)?;
            return Ok((write_count(self.from, tokens).into(), Losses::default()));
        }
        let mut reply = decode_reply(self.door.dialect, body, self.accounting).map_err(|error| {
            let detail = format!("the answer cannot be translated: {}", what_is_wrong(&error));
            UpstreamFault::Unreadable { detail }
        })?;
        reply.made_by(&self.maker);
        if let Some(listener) = &mut self.listener {
            listener.hear_reply(&reply);
        }
        if self.streams {
            // Asked for as a stream, and read as one.
            let telling = std::mem::take(&mut self.telling);
            let keep = |texts| {
                if let Some(keeper) = &self.keeper {
                    keeper.keep_texts(texts);
                }
            };
            let encoded = encode_reply_as_stream(self.from, reply, telling, keep);
            return Ok((encoded.body.into(), encoded.losses));
        }
        let encoded = encode_reply(self.from, &reply, &self.telling);
        if let Some(keeper) = &self.keeper {
            keeper.keep_texts(named_texts(self.from, &encoded.body));
        }
        Ok((encoded.body.into(), encoded.losses))
    }

    /// For a streamed answer, which came framed so.
    pub fn interpreter(self, framing: Framing) -> Interpreter {
        Interpreter::new(self, framing)
    }
}

/// Why a request is not sent to a channel, for a key that wants it whole.
pub fn would_lose(model: &str, loss: &Loss) -> ClientFault {
    let (model, field) = (model.to_owned(), loss.field.clone().into_owned());
    ClientFault::WouldLose { model, field, dialect: loss.dialect, reason: loss.reason }
}

/// Why a request cannot be told, to the caller.
fn fault_of(error: Untranslatable, model: &str) -> Fault {
    Fault::Client(match error {
        Untranslatable::Malformed { field, expected } => ClientFault::Malformed { field, expected },
        Untranslatable::Unsupported { field, dialect, reason } => {
            ClientFault::Untranslatable { model: model.to_owned(), field, dialect, reason }
        }
    })
}

/// For the operator's log.
fn what_is_wrong(error: &Untranslatable) -> String {
    match error {
        Untranslatable::Malformed { field, expected } if field.is_empty() => format!("it is not {expected}"),
        Untranslatable::Malformed { field, expected } => format!("`{field}` is not {expected}"),
        Untranslatable::Unsupported { field, reason, .. } => format!("`{field}`: {reason}"),
    }
}
