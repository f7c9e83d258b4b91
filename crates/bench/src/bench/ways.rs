//! The ways to the upstream, and the requests that take them.
//!
//! In: a way and a case; out: bytes that reach the same script of the upstream whatever the way. Asked directly and through
//! nginx the script is part of the path; behind Sluice it is part of a channel's base URL, and the model picks the channel. The channels
//! speak Chat: who asks at another door is translated.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    load::{Meter, request},
    servers::sluice::{self, KEY},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    Nginx,
    Sluice,
    /// Through Sluice, asked in Anthropic's dialect: request and answer are translated.
    Translated,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Direct, Way::Nginx, Way::Sluice, Way::Translated];

    pub const fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Nginx => "nginx",
            Way::Sluice => "sluice",
            Way::Translated => "translated",
        }
    }
}

/// One way, as it runs now.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub way: Way,
    pub address: SocketAddr,
    /// Of the process that is measured; `None`: directly.
    pub meter: Meter,
}

/// What the upstream is to do.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    /// Answer at once, at the least cost: the answerer.
    Lean,
    /// Answer at once, as a provider does: upstream-sim, like all that follow.
    Prompt,
    /// An event every 50 ms, for longer than any measurement.
    Flowing,
    /// Three events, then silence.
    Silent,
    /// Many events at once, then silence.
    Long,
}

/// Where the two upstreams are.
#[derive(Clone, Copy, Debug)]
pub struct Upstreams {
    pub answerer: SocketAddr,
    pub sim: SocketAddr,
}

impl Upstreams {
    pub fn of(self, case: Case) -> SocketAddr {
        match case {
            Case::Lean => self.answerer,
            Case::Prompt | Case::Flowing | Case::Silent | Case::Long => self.sim,
        }
    }
}

/// Milliseconds between the events of a flowing stream.
pub const EVENT_EVERY_MS: u64 = 50;
/// Events of a silent stream: the opening one, and the three that its script asks for.
pub const SILENT_EVENTS: u64 = 4;
/// Events of a long one.
pub const LONG_EVENTS: u64 = 1_000;

impl Case {
    const ALL: [Case; 5] = [Case::Lean, Case::Prompt, Case::Flowing, Case::Silent, Case::Long];

    const fn name(self) -> &'static str {
        match self {
            Case::Lean => "lean",
            Case::Prompt => "prompt",
            Case::Flowing => "flowing",
            Case::Silent => "silent",
            Case::Long => "long",
        }
    }

    fn script(self) -> String {
        match self {
            Case::Lean | Case::Prompt => "healthy".to_owned(),
            Case::Flowing => format!("events=1000000,every={EVENT_EVERY_MS}"),
            Case::Silent => format!("stall={}", SILENT_EVENTS - 1),
            Case::Long => format!("events={},stall={LONG_EVENTS}", 2 * LONG_EVENTS),
        }
    }

    /// A chat request with a body of `size` bytes.
    pub fn request(self, way: Way, stream: bool, size: usize) -> Bytes {
        let path = match way {
            Way::Sluice => "/v1/chat/completions".to_owned(),
            // The body is as good there.
            Way::Translated => "/v1/messages".to_owned(),
            // nginx knows two locations; to the answerer all paths are alike.
            Way::Direct | Way::Nginx if matches!(self, Case::Lean) => "/lean/v1/chat/completions".to_owned(),
            Way::Direct | Way::Nginx => format!("/~{}/v1/chat/completions", self.script()),
        };
        let model = format!("bench-{}", self.name());
        let bearer = format!("Bearer {KEY}");
        request::post(&path, &[("authorization", &bearer)], &request::chat(&model, stream, size))
    }
}

/// Sluice's channels. The model is renamed, so that Sluice edits each body, as it mostly has to.
pub fn channels(upstreams: Upstreams) -> String {
    let channel = |case: Case| {
        let (name, model) = (case.name(), format!("bench-{}", case.name()));
        let more = format!("rename = {{ \"{model}\" = \"upstream-model\" }}");
        sluice::channel(name, "openai_chat", upstreams.of(case), &case.script(), &model, &more)
    };
    Case::ALL.map(channel).concat()
}
