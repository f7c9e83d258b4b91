//! The request as one channel gets it.
//!
//! In: the caller's request, or what was made of it in another dialect, and whom it goes to. Out: the HTTP request, and how its
//! answer is watched. On the relay lane it must change nothing but what is named here and in `rewrite`.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use dialect::{Dialect, Edits, Operation, OutputLimit, OwnThinking, TapOptions, ThinkingEdit, splice};
use http::Request;

use super::Asking;
use crate::{
    catalog::Channel,
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

/// The request as this channel gets it.
pub(super) fn build(
    inbound: &Inbound,
    translated: Option<&mut Translated>,
    asking: Asking<'_>,
    entry: &Arc<Entry>,
) -> Result<Request<RequestBody>, String> {
    let Asking { channel, wanted, endpoint, secret } = asking;
    let renamed = channel.rename(&wanted.model);
    let (uri, parts) = match translated {
        None => (rewrite::uri(inbound, endpoint, renamed)?, edit(inbound, channel, wanted, renamed)),
        Some(translated) => {
            let uri = rewrite::translated_uri(inbound, endpoint, renamed)?;
            // It is this channel's alone.
            (uri, vec![std::mem::take(&mut translated.body)])
        }
    };
    let headers = rewrite::request_headers(inbound, channel, endpoint, secret);
    let mut request = Request::new(RequestBody::new(parts, Some(entry.clone())));
    *request.method_mut() = inbound.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The caller's own body, with the named edits.
fn edit(inbound: &Inbound, channel: &Channel, wanted: &Wanted, renamed: &str) -> Vec<Bytes> {
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
    splice(&inbound.body, &inbound.envelope, &edits).parts
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
