//! Sending a message whole, or as badly as the script wants it.
//!
//! In: a `Message`; out: bytes on the wire and how it ended. It must never hold a padded body in memory, and
//! between any two writes it must notice that the peer has left.

use crate::exchange::{Ended, Exchange, Exit};
use crate::head::AnswerHead;
use crate::message::Message;
use crate::outlet::{Delimit, Outlet};
use crate::script::{Before, Body, Ending, Length};
use crate::socket::{Gone, Socket};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::time::Duration;

/// Size of the writes of bodies that are long or have no end.
const BLOCK: usize = 64 * 1024;
/// Pause between the bytes of `body=trickle`.
const TRICKLE: Duration = Duration::from_millis(100);
/// By how much a wrong content length is wrong.
const LENGTH_ERROR: u64 = 10;

const HTML: &str = "<!doctype html>\n<html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>502 Bad Gateway</h1><p>simulated edge</p></body></html>\n";

/// What is done with the bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    /// Half of it, then silence.
    Hang,
    /// Half of it, then the end of the connection.
    Fin,
    Reset,
    /// Half of it, then an end in order.
    Truncate,
    /// All of it, and no end.
    Linger,
    /// Nothing but the head.
    HeadOnly,
    Endless,
    Trickle,
    Padded(usize),
}

pub(crate) async fn send(
    exchange: &Exchange<'_>,
    mut message: Message,
    socket: &mut Socket,
    pending: &mut Vec<u8>,
) -> Result<Ended, Gone> {
    let script = exchange.script;
    let way = way(exchange, &message);
    let mut is_gzip = false;
    match script.body {
        Body::Empty => message.body.clear(),
        Body::Html => {
            message.body = HTML.into();
            message.content_type = "text/html";
        }
        Body::Gzip => {
            message.body = packed(&message.body);
            is_gzip = true;
        }
        _ => {}
    }
    let delimit = delimit(exchange, &message, way);
    let keeps = delimit != Delimit::Eof && script.length == Length::Right;
    let head = AnswerHead {
        status: message.status,
        content_type: message.content_type,
        is_gzip,
        delimit,
        closes: delimit == Delimit::Eof || exchange.head.closes || script.before == Before::Early413,
        dialect: exchange.target.dialect,
        id: exchange.tracked.id(),
        script,
    };
    let mut outlet = Outlet::new(socket, exchange.tracked, pending, delimit, script.packets);
    head.write(outlet.head());
    if let Some(every) = script.head_trickle_ms {
        outlet.trickle_head(Duration::from_millis(every)).await?;
    }
    outlet.pause(Duration::from_millis(script.first_ms)).await?;
    let ended = go(exchange, &message, way, &mut outlet).await?;
    Ok(match ended {
        Some(ended) => ended,
        None if script.length == Length::WrongLong => Ended::cut(Exit::Fin),
        None if keeps => exchange.answered(Exit::KeepAlive, message.usage),
        None => exchange.answered(Exit::Fin, message.usage),
    })
}

/// The body fault, or for a plain answer the stream fault that comes nearest.
fn way(exchange: &Exchange<'_>, message: &Message) -> Way {
    match exchange.script.body {
        Body::Hang => return Way::Hang,
        Body::Endless => return Way::Endless,
        Body::Trickle => return Way::Trickle,
        Body::Reset => return Way::Reset,
        Body::Padded(size) => return Way::Padded(size),
        Body::Normal | Body::Empty | Body::Html | Body::Gzip => {}
    }
    if message.is_error || message.is_stream {
        return Way::Whole;
    }
    match exchange.script.ending {
        Ending::Stall(_) => Way::Hang,
        Ending::Cut(_) => Way::Truncate,
        Ending::Fin(_) => Way::Fin,
        Ending::Reset(_) => Way::Reset,
        Ending::Linger => Way::Linger,
        Ending::PingOnly | Ending::LifecycleOnly => Way::HeadOnly,
        Ending::Whole | Ending::NoTerminal | Ending::NoDone | Ending::ErrorEvent(_) => Way::Whole,
    }
}

fn delimit(exchange: &Exchange<'_>, message: &Message, way: Way) -> Delimit {
    let length = message.body.len() as u64;
    match exchange.script.length {
        Length::WrongShort => return Delimit::Length(length.saturating_sub(LENGTH_ERROR)),
        Length::WrongLong => return Delimit::Length(length + LENGTH_ERROR),
        Length::Right => {}
    }
    if exchange.script.eof_delimited {
        return Delimit::Eof;
    }
    match way {
        Way::Padded(size) => Delimit::Length(length.max(size as u64)),
        Way::Endless | Way::Trickle | Way::Truncate | Way::Linger => Delimit::Chunked,
        _ if message.is_stream => Delimit::Chunked,
        _ => Delimit::Length(length),
    }
}

/// Sends the body; `None` when it went out whole.
async fn go(
    exchange: &Exchange<'_>,
    message: &Message,
    way: Way,
    outlet: &mut Outlet<'_>,
) -> Result<Option<Ended>, Gone> {
    let body = &message.body;
    let half = &body[..body.len() / 2];
    match way {
        Way::Whole => {
            outlet.body(body).await?;
            outlet.finish().await?;
            return Ok(None);
        }
        Way::Padded(size) => {
            send_padded(outlet, message, size).await?;
            outlet.finish().await?;
            return Ok(None);
        }
        Way::Hang => outlet.body(half).await?,
        Way::Linger => outlet.body(body).await?,
        Way::HeadOnly => {}
        Way::Truncate => {
            outlet.body(half).await?;
            outlet.finish().await?;
            return Ok(Some(Ended::cut(Exit::KeepAlive)));
        }
        Way::Fin | Way::Reset => {
            // Also a chunked body is to break in the middle of a chunk.
            outlet.half(body).await?;
            return Ok(Some(Ended::cut(if way == Way::Fin { Exit::Fin } else { Exit::Rst })));
        }
        Way::Endless => {
            outlet.body(body).await?;
            let block = message.filler.repeat(BLOCK.div_ceil(message.filler.len()));
            loop {
                outlet.body(&block).await?;
                outlet.flush().await?;
                // The peer may read as fast as this writes; then no write ever waits.
                tokio::task::yield_now().await;
            }
        }
        Way::Trickle => {
            let every = exchange.every_or(TRICKLE);
            for byte in body.iter().chain(message.filler.iter().cycle()) {
                outlet.body(&[*byte]).await?;
                outlet.flush().await?;
                outlet.socket.pause(every).await?;
            }
        }
    }
    Err(outlet.fall_silent().await)
}

/// Sends the body with white space or comments in it, so that it has `size` bytes and still parses.
async fn send_padded(outlet: &mut Outlet<'_>, message: &Message, size: usize) -> Result<(), Gone> {
    let body = &message.body;
    let mut padding = size.saturating_sub(body.len());
    let at = if message.is_stream { 0 } else { body.len().saturating_sub(1) };
    outlet.body(&body[..at]).await?;
    let mut block = vec![b' '; BLOCK];
    if message.is_stream && padding > 2 {
        // A comment line as long as the padding, and the empty line after it.
        outlet.body(b":").await?;
        padding -= 1;
    }
    while padding > 0 {
        let length = padding.min(BLOCK);
        if message.is_stream && length == padding {
            block[length.saturating_sub(2)..length].fill(b'\n');
        }
        outlet.body(&block[..length]).await?;
        padding -= length;
        tokio::task::yield_now().await;
    }
    outlet.body(&body[at..]).await
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
