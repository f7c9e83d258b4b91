//! Reading one request from a connection.
//!
//! In: a socket; out: a `Head`, then its whole body. It must never read past the body (what follows belongs to
//! the next request) and must not hold more than `BODY_MAX`.

use crate::percent;
use crate::socket::{Gone, Socket};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::atomic::AtomicU64;

/// Longest head: more than any client sends, small enough to be no load.
const HEAD_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;
/// Longest body: above the largest request any of the providers takes.
const BODY_MAX: u64 = 256 * 1024 * 1024;
/// A body up to this size is copied out of the read buffer, so that the buffer can be used again.
const COPY_MAX: usize = 64 * 1024;
/// Marks the path segment that holds a script.
const SCRIPT_MARK: &str = "/~";

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum NoRequest {
    Gone,
    Malformed(&'static str),
}

impl From<Gone> for NoRequest {
    fn from(_: Gone) -> NoRequest {
        NoRequest::Gone
    }
}

/// How the body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// The head as it was received, to be taken apart when somebody asks for the headers.
    pub(crate) raw: Bytes,
    pub(crate) secret: String,
    /// The script in the path or in a header, as written.
    pub(crate) script: Option<String>,
    pub(crate) speaks_anthropic: bool,
    /// The peer wants the connection closed after the answer.
    pub(crate) closes: bool,
    expects_continue: bool,
    framing: Framing,
}

impl Head {
    /// Waits for the next head; `Gone` when the peer closes instead.
    pub(crate) async fn read(socket: &mut Socket) -> Result<Head, NoRequest> {
        loop {
            if let Some((head, length)) = Head::parse(&socket.inbox)? {
                socket.inbox.advance(length);
                return Ok(head);
            }
            if socket.inbox.len() > HEAD_MAX {
                return Err(NoRequest::Malformed("the head is too long"));
            }
            socket.read_more().await?;
        }
    }

    fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, NoRequest> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut slots);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NoRequest::Malformed("the head is not HTTP/1.1")),
        };
        let target = parsed.path.unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (script, path) = split_script(path)?;
        let mut head = Head {
            method: parsed.method.unwrap_or("").to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            raw: Bytes::copy_from_slice(&bytes[..length]),
            secret: String::new(),
            script,
            speaks_anthropic: false,
            closes: parsed.version == Some(0),
            expects_continue: false,
            framing: Framing::Length(0),
        };
        for header in parsed.headers.iter() {
            head.take_header(header.name, header.value)?;
        }
        if head.secret.is_empty()
            && let Some(key) = query.split('&').find_map(|pair| pair.strip_prefix("key="))
        {
            head.secret = percent::decode(key).unwrap_or_default();
        }
        Ok(Some((head, length)))
    }

    fn take_header(&mut self, name: &str, value: &[u8]) -> Result<(), NoRequest> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        let text = || String::from_utf8_lossy(value).trim().to_owned();
        if is("authorization") {
            let value = text();
            if value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
                self.secret = value[7..].trim().to_owned();
            }
        } else if is("x-api-key") || is("x-goog-api-key") || is("api-key") {
            self.secret = text();
        } else if is("x-sim-script") {
            // The path prefix goes first: it was put there by whoever set up the channel.
            self.script.get_or_insert_with(text);
        } else if is("content-length") {
            let length =
                text().parse().map_err(|_| NoRequest::Malformed("content-length is not a number"))?;
            if length > BODY_MAX {
                return Err(NoRequest::Malformed("the body is too long"));
            }
            if self.framing != Framing::Chunked {
                self.framing = Framing::Length(length);
            }
        } else if is("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(NoRequest::Malformed("transfer-encoding other than chunked"));
            }
            self.framing = Framing::Chunked;
        } else if is("connection") {
            self.closes |= value.eq_ignore_ascii_case(b"close");
        } else if is("anthropic-version") {
            self.speaks_anthropic = true;
        } else if is("expect") {
            self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }

    /// Reads the body that belongs to this head.
    pub(crate) async fn read_body(&self, socket: &mut Socket) -> Result<Bytes, NoRequest> {
        if self.expects_continue && self.framing != Framing::Length(0) {
            // Not part of the answer, so not counted as sent.
            socket.write(b"HTTP/1.1 100 Continue\r\n\r\n", &AtomicU64::new(0)).await?;
        }
        match self.framing {
            Framing::Length(length) => take(socket, length as usize).await,
            Framing::Chunked => read_chunks(socket).await,
        }
    }
}

/// Splits `/~SCRIPT/rest` into the script and the rest.
fn split_script(path: &str) -> Result<(Option<String>, &str), NoRequest> {
    let Some(marked) = path.strip_prefix(SCRIPT_MARK) else { return Ok((None, path)) };
    let Some((script, _)) = marked.split_once('/') else {
        // `/~log` and `/~stats` are questions to the sim, not scripts.
        return Ok((None, path));
    };
    let text = percent::decode(script).ok_or(NoRequest::Malformed("the script is badly encoded"))?;
    Ok((Some(text), &path[SCRIPT_MARK.len() + script.len()..]))
}

async fn take(socket: &mut Socket, length: usize) -> Result<Bytes, NoRequest> {
    while socket.inbox.len() < length {
        socket.inbox.reserve(length - socket.inbox.len());
        socket.read_more().await?;
    }
    if length > COPY_MAX {
        return Ok(socket.inbox.split_to(length).freeze());
    }
    let body = Bytes::copy_from_slice(&socket.inbox[..length]);
    socket.inbox.advance(length);
    Ok(body)
}

async fn read_chunks(socket: &mut Socket) -> Result<Bytes, NoRequest> {
    const BAD: NoRequest = NoRequest::Malformed("a chunk is broken");
    let mut body = BytesMut::new();
    loop {
        let (line, size) = match httparse::parse_chunk_size(&socket.inbox) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) if socket.inbox.len() < HEAD_MAX => {
                socket.read_more().await?;
                continue;
            }
            _ => return Err(BAD),
        };
        socket.inbox.advance(line);
        if size == 0 {
            skip_trailers(socket).await?;
            return Ok(body.freeze());
        }
        if body.len() as u64 + size > BODY_MAX {
            return Err(NoRequest::Malformed("the body is too long"));
        }
        body.extend_from_slice(&take(socket, size as usize).await?);
        if take(socket, 2).await?.as_ref() != b"\r\n" {
            return Err(BAD);
        }
    }
}

/// Reads the lines after the last chunk, up to the empty one.
async fn skip_trailers(socket: &mut Socket) -> Result<(), NoRequest> {
    loop {
        while let Some(end) = memchr::memchr(b'\n', &socket.inbox) {
            let is_empty = end == 0 || (end == 1 && socket.inbox[0] == b'\r');
            socket.inbox.advance(end + 1);
            if is_empty {
                return Ok(());
            }
        }
        if socket.inbox.len() > HEAD_MAX {
            return Err(NoRequest::Malformed("the trailers are too long"));
        }
        socket.read_more().await?;
    }
}
