//! What an upstream does with one call: drawn when the call comes, fixed from then on.

use std::io::Write;

use dialect::Usage;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::{
    dice::Dice,
    said::{self, Said},
    wire::{self, Asked, Kind, Piece},
};

/// How the call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// No connection.
    Refused,
    /// Connected, and closed before an answer.
    Broken(u64),
    Silence,
    Head(u64),
}

/// How the body goes on after its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// A clean end.
    End,
    /// A reset.
    Reset,
    /// Nothing more, and no end.
    Hang,
}

/// Bytes at a time after the head.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What the body is, piece by piece, in bytes from its beginning.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Events; where each ends.
    Stream(Vec<(usize, Piece)>),
    /// A document. `told`: it is an error told with 200.
    Document { whole: bool, usage: Option<Usage>, told: Option<Said> },
    /// An error with its status: as understood with its body, and without.
    Error { with_body: Said, without: Said },
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Until the connection stands, if it is not refused; longer than `timeouts.connect` is never.
    pub(crate) connecting: u64,
    pub(crate) start: Start,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) reply: Reply,
    /// The body unpacked, as far as it goes.
    pub(crate) body: Vec<u8>,
    /// How long the body would have been.
    pub(crate) full: usize,
    /// The same as it is sent: packed, or not.
    pub(crate) steps: Vec<Step>,
    pub(crate) tail: Tail,
    pub(crate) announced: bool,
    pub(crate) packed: bool,
    /// Packed in a way that nobody asked for and nobody here can read.
    pub(crate) unreadable: bool,
}

/// What an upstream may say that no caller may read.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    pub(crate) secret: String,
    pub(crate) host: String,
}

impl Script {
    pub(crate) fn draw(dice: &mut Dice, asked: Asked, stream: bool, hidden: &Hidden) -> Script {
        let connecting = if dice.chance(20) { dice.time(20_000) } else { 0 };
        let after = if dice.chance(20) { 200_000 } else { 3_000 };
        let start = match dice.weigh(&[(5, 0), (3, 1), (2, 2), (88, 3)]) {
            0 => Start::Refused,
            1 => Start::Broken(dice.time(20_000)),
            2 => Start::Silence,
            _ => Start::Head(dice.time(after)),
        };
        let mut script = match dice.weigh(&[(25, 0), (6, 1), (69, 2)]) {
            0 => error(dice, asked, hidden),
            1 if stream => odd_stream(dice, asked, hidden),
            1 => odd_document(dice, asked, hidden),
            _ if stream => events(dice, asked, hidden),
            _ => document(dice, asked),
        };
        (script.connecting, script.start) = (connecting, start);
        script.headers.push(("server", format!("edge of {}", hidden.host)));
        script.headers.push(("set-cookie", format!("session={}", hidden.secret)));
        if dice.chance(50) {
            script.headers.push(("x-request-id", format!("req-{:08x}", dice.next() as u32)));
        }
        script
    }

    fn of(status: u16, content_type: &str, reply: Reply, body: Vec<u8>) -> Script {
        Script {
            connecting: 0,
            start: Start::Silence,
            status,
            headers: vec![("content-type", content_type.to_owned())],
            reply,
            full: body.len(),
            body,
            steps: Vec::new(),
            tail: Tail::End,
            announced: false,
            packed: false,
            unreadable: false,
        }
    }

    /// Cuts the body into steps, perhaps before its end.
    fn deliver(mut self, dice: &mut Dice, troubles: u64) -> Script {
        let mut bytes = self.body.clone();
        if dice.chance(troubles) {
            self.tail = dice.weigh(&[(4, Tail::Reset), (3, Tail::Hang), (3, Tail::End)]);
            if !dice.chance(15) {
                bytes.truncate(dice.below(bytes.len() + 1));
            }
            self.body = bytes.clone();
        } else {
            self.announced = dice.chance(50);
        }
        self.steps = cut(dice, &bytes);
        self
    }
}

/// Into steps of random lengths at random times.
fn cut(dice: &mut Dice, bytes: &[u8]) -> Vec<Step> {
    let (most, slowest) = dice.weigh(&[
        (5, (bytes.len().max(1), 500)),
        (5, (400, 1_500)),
        (2, (40, 300)),
        (1, (3, 100)),
        (1, (2_000, 40_000)),
    ]);
    // Very long bodies in very small steps would only be slow to simulate.
    let most = most.max(bytes.len() / 3_000);
    let (mut at, mut steps) = (dice.time(slowest), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (step, after) = rest.split_at(dice.between(1, most as u64).min(rest.len() as u64) as usize);
        steps.push(Step { at, bytes: step.to_vec() });
        rest = after;
        if !dice.chance(30) {
            at += dice.time(slowest);
        }
        if dice.chance(1) {
            at += dice.between(1_000, 400_000); // a stall
        }
    }
    steps
}

fn offsets(pieces: Vec<Piece>) -> (Vec<(usize, Piece)>, Vec<u8>) {
    let mut body = Vec::new();
    let pieces = pieces
        .into_iter()
        .map(|piece| {
            body.extend_from_slice(&piece.bytes);
            (body.len(), piece)
        })
        .collect();
    (pieces, body)
}

/// A stream; perhaps with an error event in it, or lingering after its end.
fn events(dice: &mut Dice, asked: Asked, hidden: &Hidden) -> Script {
    let mut pieces = wire::stream(dice, asked);
    if dice.chance(15) {
        let end = pieces.iter().position(|piece| matches!(piece.kind, Kind::End | Kind::Close));
        let at = if dice.chance(40) { 0 } else { dice.below(end.unwrap_or(0) + 1) };
        let rest = pieces.split_off(at);
        let (error, said) = said::event(dice, asked.dialect, hidden);
        let bytes = wire::error_event(asked, &pieces, &error);
        let usage = pieces.last().and_then(|piece| piece.usage);
        pieces.push(Piece { bytes, kind: Kind::Error(said), usage });
        if asked.array {
            pieces.push(Piece { bytes: b"]".to_vec(), kind: Kind::Ping, usage });
        } else if dice.chance(30) {
            // An upstream that goes on after its error.
            pieces.extend(rest.into_iter().map(|piece| Piece { kind: Kind::Ping, usage, ..piece }));
        }
    } else if !asked.array && dice.chance(5) {
        // The last event without its blank line.
        if let Some(last) = pieces.last_mut() {
            while last.bytes.last().is_some_and(u8::is_ascii_whitespace) {
                last.bytes.pop();
            }
        }
    }
    let content_type = if asked.array { "application/json" } else { "text/event-stream" };
    let (pieces, body) = offsets(pieces);
    let mut script = Script::of(200, content_type, Reply::Stream(pieces), body).deliver(dice, 25);
    script.announced = false;
    if script.tail == Tail::End && dice.chance(10) {
        script.tail = Tail::Hang;
    }
    if dice.chance(5) {
        // Pings without end, before, between or after the events.
        ping_on(dice, asked, &mut script);
    }
    script
}

fn ping_on(dice: &mut Dice, asked: Asked, script: &mut Script) {
    let Reply::Stream(pieces) = &mut script.reply else { return };
    if asked.array {
        return;
    }
    let whole: Vec<_> = pieces.iter().filter(|(end, _)| *end <= script.body.len()).cloned().collect();
    let ended = whole.iter().take_while(|(_, piece)| piece.bytes.ends_with(b"\n")).count();
    let kept = dice.below(ended + 1);
    let mut body = whole[..kept].last().map_or(0, |(end, _)| *end);
    let mut steps = cut(dice, &script.body[..body]);
    script.body.truncate(body);
    pieces.truncate(kept);
    let usage = pieces.last().and_then(|(_, piece)| piece.usage);
    let every = dice.between(100, 9_000);
    let mut at = steps.last().map_or(0, |step| step.at);
    for _ in 0..dice.between(5, 400) {
        at += every;
        let bytes = b": ping\n\n".to_vec();
        body += bytes.len();
        script.body.extend_from_slice(&bytes);
        steps.push(Step { at, bytes: bytes.clone() });
        pieces.push((body, Piece { bytes, kind: Kind::Ping, usage }));
    }
    script.steps = steps;
    script.tail = dice.pick(&[Tail::Hang, Tail::End]);
}

/// A stream request that is answered with a document.
fn odd_stream(dice: &mut Dice, asked: Asked, hidden: &Hidden) -> Script {
    if asked.array || dice.chance(60) { odd_document(dice, asked, hidden) } else { document(dice, asked) }
}

fn document(dice: &mut Dice, asked: Asked) -> Script {
    let (mut body, usage) = wire::document(dice, asked);
    // Some providers send blanks while they think.
    let blanks = if dice.chance(20) { dice.between(1, 40) as usize } else { 0 };
    body.splice(..0, vec![b'\n'; blanks]);
    let reply = Reply::Document { whole: true, usage: Some(usage), told: None };
    let mut script = Script::of(200, "application/json", reply, body).deliver(dice, 25);
    if script.steps.first().is_some_and(|step| blanks > 0 && step.bytes.len() > blanks) && dice.chance(70) {
        let rest = script.steps[0].bytes.split_off(blanks);
        let at = script.steps[0].at;
        script.steps.insert(1, Step { at, bytes: rest });
        script.steps[0].at = at - at.min(dice.time(5_000));
    }
    let complete = script.body.len() == script.full;
    if let Reply::Document { whole, .. } = &mut script.reply {
        *whole = complete;
    }
    if complete && script.tail == Tail::End && script.body.len() < 50_000 && dice.chance(10) {
        pack(dice, &mut script);
    }
    script
}

/// A 200 that is no answer: an error, a page, nothing.
fn odd_document(dice: &mut Dice, asked: Asked, hidden: &Hidden) -> Script {
    match dice.below(4) {
        3 => {
            let mut script = document(dice, asked);
            (script.unreadable, script.packed, script.announced) = (true, true, false);
            script.headers.retain(|(name, _)| *name != "content-encoding");
            script.headers.push(("content-encoding", "br".to_owned()));
            script
        }
        0 => {
            let (error, said) = said::event(dice, asked.dialect, hidden);
            let error = if asked.array { json!([error]) } else { error };
            let reply = Reply::Document { whole: true, usage: None, told: Some(said) };
            let body = error.to_string().into_bytes();
            Script { steps: cut(dice, &body), ..Script::of(200, "application/json", reply, body) }
        }
        1 => {
            let reply = Reply::Document { whole: false, usage: None, told: None };
            let body = format!("<html>{} is resting</html>", hidden.host).into_bytes();
            Script { steps: cut(dice, &body), ..Script::of(200, "text/html", reply, body) }
        }
        _ => {
            let reply = Reply::Document { whole: false, usage: None, told: None };
            Script::of(200, "application/json", reply, Vec::new())
        }
    }
}

/// A status of 3xx, 4xx or 5xx.
fn error(dice: &mut Dice, asked: Asked, hidden: &Hidden) -> Script {
    let told = said::status(dice, asked.dialect, hidden);
    let reply = Reply::Error { with_body: told.with_body, without: told.without };
    let mut script = Script::of(told.status, told.content_type, reply, told.body).deliver(dice, 45);
    script.headers.extend(told.headers);
    if script.tail == Tail::End && script.announced && script.full < 50_000 && dice.chance(15) {
        pack(dice, &mut script);
        // In one piece: what can be read of half a package is not this simulation's business.
        let bytes = script.steps.drain(..).flat_map(|step| step.bytes).collect();
        script.steps.push(Step { at: dice.time(2_000), bytes });
    }
    script
}

fn pack(dice: &mut Dice, script: &mut Script) {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&script.body).unwrap();
    script.steps = cut(dice, &packer.finish().unwrap());
    script.headers.push(("content-encoding", "gzip".to_owned()));
    script.packed = true;
    script.announced = false;
}
