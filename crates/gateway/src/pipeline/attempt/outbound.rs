//! The request as one channel gets it.
//!
//! In: the caller's request, or what was made of it in another dialect, and whom it goes to. Out: the HTTP request, and how its
//! answer is watched. On the relay lane it must change nothing but what is named here and in `rewrite`.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use dialect::{
    Dialect, Edits, Operation, OutputLimit, OwnThinking, Spliced, TapOptions, ThinkingEdit, loss::Losses,
    splice,
};
use http::Request;

use super::Asking;
use crate::{
    catalog::Channel,
    fault::ClientFault,
    flow::Entry,
    pipeline::{
        inbound::Inbound,
        plan::Wanted,
        rewrite,
        translation::{self, Translated},
    },
    provider::Quirk,
    upstream::RequestBody,
};

/// The body that one channel gets, and what became of the caller's on the way there.
pub(super) struct Worded {
    pub(super) parts: Vec<Bytes>,
    pub(super) losses: Losses,
    /// How its answer is told, where it was told in another dialect.
    pub(super) translated: Option<Box<Translated>>,
}

impl Worded {
    /// As it goes out in the caller's own dialect; `Err`: not whole, and the key wants it whole or not at all.
    pub(super) fn edited(
        inbound: &Inbound,
        channel: &Channel,
        wanted: &Wanted,
        refuses_losses: bool,
    ) -> Result<Worded, ClientFault> {
        let Spliced { parts, losses } = edit(inbound, channel, wanted);
        match losses.rows().first() {
            Some(loss) if refuses_losses => Err(translation::would_lose(&wanted.model, loss)),
            _ => Ok(Worded { parts, losses, translated: None }),
        }
    }

    pub(super) fn translated(mut translated: Box<Translated>) -> Worded {
        // They are this channel's alone.
        let (body, losses) = (std::mem::take(&mut translated.body), std::mem::take(&mut translated.losses));
        Worded { parts: vec![body], losses, translated: Some(translated) }
    }
}

/// The request to this channel.
pub(super) fn build(
    inbound: &Inbound,
    parts: Vec<Bytes>,
    translated: bool,
    asking: Asking<'_>,
    entry: &Arc<Entry>,
) -> Result<Request<RequestBody>, String> {
    let Asking { channel, wanted, endpoint, secret } = asking;
    let renamed = channel.rename(&wanted.model);
    let uri = if translated {
        rewrite::translated_uri(inbound, endpoint, renamed)?
    } else {
        rewrite::uri(inbound, endpoint, renamed)?
    };
    let headers = rewrite::request_headers(inbound, channel, endpoint, secret);
    let mut request = Request::new(RequestBody::new(parts, Some(entry.clone())));
    *request.method_mut() = inbound.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The caller's own body, with the named edits.
fn edit(inbound: &Inbound, channel: &Channel, wanted: &Wanted) -> Spliced {
    let renamed = channel.rename(&wanted.model);
    let (dialect, differs) = (inbound.door.dialect, renamed != inbound.model);
    let thinking =
        wanted.suffix.filter(|_| inbound.door.operation == Operation::Chat).map(|suffix| ThinkingEdit {
            dialect,
            thinking: suffix.wish(),
            target: translation::target(channel, dialect, renamed, inbound.output_limit),
        });
    // Where the path names the model, only what Gemini is to count names it in the body, too.
    let in_full = inbound.door.operation == Operation::CountTokens && inbound.target.model.is_some();
    let renamed = if in_full { Cow::Owned(format!("models/{renamed}")) } else { Cow::Borrowed(renamed) };
    let edits = Edits {
        model: (differs && (in_full || inbound.target.model.is_none())).then_some(&renamed),
        ask_usage: asks_usage(inbound, channel),
        output_limit: inbound.output_limit.map(|tokens| OutputLimit {
            dialect,
            operation: inbound.door.operation,
            tokens,
            new_name: channel.provider.has(Quirk::NewLimitName),
        }),
        one_model: true,
        thinking,
        own_thinking: inbound.envelope.marked.then(|| OwnThinking {
            dialect,
            signs_calls: translation::signs_calls(channel, dialect, &renamed),
        }),
    };
    splice(&inbound.body, &inbound.envelope, &edits)
}

/// OpenAI's chat tells the usage of a stream only when asked.
fn asks_usage(inbound: &Inbound, channel: &Channel) -> bool {
    inbound.stream
        && inbound.door.dialect == Dialect::OpenaiChat
        && matches!(inbound.door.operation, Operation::Chat | Operation::Completions)
        && !inbound.envelope.wants_usage
        && !channel.provider.has(Quirk::UsageUnasked)
}

pub(super) fn tap_options(inbound: &Inbound, channel: &Channel) -> TapOptions {
    TapOptions {
        door: inbound.door,
        accounting: channel.provider.accounting(inbound.door.dialect),
        strip_usage: asks_usage(inbound, channel),
    }
}
