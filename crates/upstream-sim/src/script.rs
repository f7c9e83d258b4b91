//! What a request is to be answered with: a value, written by hand as `status=429,body=hang`.
//!
//! In: nothing. Out: `Script`, whose fields the answering modules read. It must never act: a script only
//! describes. The written form is in `grammar`.

mod grammar;

pub use grammar::BadScript;

use crate::error_body::ErrorKind;

/// How one request is answered. `Script::default()` is a healthy provider. Written and read as text: see the
/// table in the crate's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Status of the answer; without `error` it also picks the error body.
    pub(crate) status: Option<u16>,
    /// Which error body (or error event).
    pub(crate) error: Option<ErrorKind>,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) retry_after_ms: Option<u64>,
    /// Seconds in Gemini's `RetryInfo` detail.
    pub(crate) retry_info: Option<u64>,
    pub(crate) body: Body,
    pub(crate) before: Before,
    /// Pause between two bytes of the head.
    pub(crate) head_trickle_ms: Option<u64>,
    /// Pause before the head.
    pub(crate) delay_ms: u64,
    /// Pause between the head and the first byte of the body.
    pub(crate) first_ms: u64,
    pub(crate) redirect: Option<String>,
    /// Number of content events.
    pub(crate) events: Option<usize>,
    /// Pause between content events, or between the bytes of a trickled body.
    pub(crate) every_ms: Option<u64>,
    /// Bytes of text per content event.
    pub(crate) size: Option<usize>,
    /// One word per content event.
    pub(crate) words: bool,
    pub(crate) ending: Ending,
    /// Pings before the first event.
    pub(crate) pings: usize,
    pub(crate) eof_delimited: bool,
    pub(crate) packets: Packets,
    pub(crate) crlf: bool,
    pub(crate) comments: bool,
    /// Content type that replaces the right one.
    pub(crate) content_type: Option<String>,
    pub(crate) length: Length,
    pub(crate) gzip_sse: bool,
    /// Bytes of text in the first content event.
    pub(crate) huge_line: Option<usize>,
    pub(crate) usage: UsageScript,
    pub(crate) tool: bool,
    /// The tool that is called, in place of the first one offered.
    pub(crate) tool_name: Option<String>,
    /// What the call says, as JSON.
    pub(crate) arguments: Option<String>,
    /// The call is made once: when the conversation has a tool's result, the answer quotes it.
    pub(crate) quotes_result: bool,
    /// A sentence goes before the call, and the same call again beside it.
    pub(crate) busy: bool,
    /// A tool's result is refused unless the thinking before its call comes back signed.
    pub(crate) wants_signature: bool,
    pub(crate) reasoning: bool,
    /// Bytes of text in a plain answer.
    pub(crate) large_reply: Option<usize>,
    pub(crate) echo: bool,
}

/// The `retry-after` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    Seconds(u64),
    /// An HTTP date a few seconds ahead.
    Date,
}

/// What happens to the body, of an error as of a good answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    #[default]
    Normal,
    Empty,
    Html,
    Gzip,
    Hang,
    Endless,
    Trickle,
    Reset,
    /// Padded to this many bytes, with a content length.
    Padded(usize),
}

/// What happens instead of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Before {
    #[default]
    Answer,
    Silence,
    Close,
    Rst,
    RefuseAfterAccept,
    Stale,
    Early413,
}

/// How a stream ends. Numbers count content events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Whole,
    Stall(usize),
    Cut(usize),
    Fin(usize),
    Reset(usize),
    ErrorEvent(usize),
    NoTerminal,
    NoDone,
    Linger,
    PingOnly,
    LifecycleOnly,
}

/// How a body is cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Packets {
    /// One write per event, one for a plain answer.
    #[default]
    PerEvent,
    Burst,
    /// Writes of this many bytes.
    Chop(usize),
}

/// What the content length claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Length {
    #[default]
    Right,
    WrongShort,
    WrongLong,
}

/// What is reported as used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UsageScript {
    /// Counted from the request and the text.
    #[default]
    Counted,
    None,
    Null,
    Fixed(u64, u64),
}

impl Script {
    /// Whether the stream is delivered by the ordinary event loop; otherwise its bytes are made at once and go
    /// through the body faults.
    pub(crate) fn body_is_streamed(&self) -> bool {
        matches!(self.body, Body::Normal) && self.length == Length::Right
    }

    /// Whether the text is to hold characters of several bytes, so that cuts can fall inside them.
    pub(crate) fn wants_wide_text(&self) -> bool {
        matches!(self.packets, Packets::Chop(_))
    }
}
