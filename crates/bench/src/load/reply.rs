//! Reading an answer: head, length, chunks; no more.
//!
//! In: bytes as they come from the socket; out: pieces of the body, and whether the answer is whole. It must read any way
//! the bytes are cut, never more than the answer, and never hold the body.

use std::fmt;

/// Largest head that is read: far beyond what a gateway answers.
const HEAD_MAX: usize = 64 * 1024;
/// Headers in a head.
const HEADERS_MAX: usize = 64;

/// Why these bytes are not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of a body with a length.
    Length(u64),
    /// Digits of a chunk's size; `true`: past them, at what may follow on the line.
    ChunkSize(u64, bool),
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// Trailers, with the length of the current line.
    Trailer(usize),
    /// The body ends with the connection.
    Eof,
    Done,
}

/// One answer being read.
#[derive(Debug)]
pub struct Reply {
    state: State,
    /// The head, where it came in pieces.
    head: Vec<u8>,
    /// 0: not known yet.
    pub status: u16,
    /// The connection cannot be used again.
    pub closes: bool,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply { state: State::Head, head: Vec::new(), status: 0, closes: false }
    }
}

impl Reply {
    /// Reads on, and hands the pieces of the body to `on_body`. Returns how many bytes belonged to this answer.
    pub fn feed(&mut self, bytes: &[u8], on_body: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            at += self.step(&bytes[at..], on_body)?;
        }
        Ok(at)
    }

    pub fn done(&self) -> bool {
        self.state == State::Done
    }

    /// The connection ended: whether that was the end of the answer too.
    pub fn ends_here(&self) -> bool {
        matches!(self.state, State::Eof | State::Done)
    }

    fn step(&mut self, bytes: &[u8], on_body: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self.state {
            State::Head => return self.take_head(bytes),
            State::Length(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                on_body(&bytes[..take]);
                let left = left - take as u64;
                self.state = if left == 0 { State::Done } else { State::Length(left) };
                return Ok(take);
            }
            State::Chunk(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                on_body(&bytes[..take]);
                let left = left - take as u64;
                self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                return Ok(take);
            }
            State::Eof => {
                on_body(bytes);
                return Ok(bytes.len());
            }
            State::ChunkSize(size, past_digits) => {
                self.state = match bytes[0] {
                    b'\n' if size == 0 => State::Trailer(0),
                    b'\n' => State::Chunk(size),
                    b';' | b'\r' | b' ' => State::ChunkSize(size, true),
                    _ if past_digits => State::ChunkSize(size, true),
                    digit => {
                        let digit = char::from(digit).to_digit(16).ok_or(Malformed("a bad chunk size"))?;
                        let size = size.checked_mul(16).ok_or(Malformed("a chunk size beyond belief"))?;
                        State::ChunkSize(size + u64::from(digit), false)
                    }
                };
            }
            State::ChunkEnd => match bytes[0] {
                b'\r' => {}
                b'\n' => self.state = State::ChunkSize(0, false),
                _ => return Err(Malformed("a chunk longer than its size")),
            },
            State::Trailer(length) => match bytes[0] {
                b'\r' => {}
                b'\n' => self.state = if length == 0 { State::Done } else { State::Trailer(0) },
                _ => self.state = State::Trailer(length + 1),
            },
            State::Done => {}
        }
        Ok(1)
    }

    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        if self.head.is_empty() {
            // The usual case: the head is in one piece and is not copied.
            if let Some(length) = self.parse_head(bytes)? {
                return Ok(length);
            }
            self.head.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let before = self.head.len();
        let mut head = std::mem::take(&mut self.head);
        head.extend_from_slice(bytes);
        match self.parse_head(&head)? {
            Some(length) => Ok(length - before),
            None if head.len() > HEAD_MAX => Err(Malformed("a head beyond belief")),
            None => {
                self.head = head;
                Ok(bytes.len())
            }
        }
    }

    /// The length of the head, if it is whole.
    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed("not an HTTP head")),
        };
        let status = parsed.code.unwrap_or(0);
        if (100..200).contains(&status) {
            return Ok(Some(length)); // An interim answer: the real one follows.
        }
        self.status = status;
        self.state = State::Eof;
        for header in parsed.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).unwrap_or("");
                let length = text.trim().parse().map_err(|_| Malformed("a bad content-length"))?;
                self.state = if length == 0 { State::Done } else { State::Length(length) };
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                self.state = State::ChunkSize(0, false);
            } else if header.name.eq_ignore_ascii_case("connection") {
                self.closes = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        if matches!(status, 204 | 304) {
            self.state = State::Done;
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n, it is me\r\n0\r\nt: 1\r\n\r\nrest";
    const LENGTH: &[u8] = b"HTTP/1.1 429 Slow\r\ncontent-length: 5\r\nConnection: Close\r\n\r\nhelloHTTP";

    fn read(bytes: &[u8], piece: usize) -> (Reply, Vec<u8>, usize) {
        let (mut reply, mut body, mut used) = (Reply::default(), Vec::new(), 0);
        for bytes in bytes.chunks(piece) {
            let took = reply.feed(bytes, &mut |bytes| body.extend_from_slice(bytes)).expect("well formed");
            used += took;
            if took < bytes.len() {
                break;
            }
        }
        (reply, body, used)
    }

    #[test]
    fn any_cut_gives_the_same_answer() {
        for piece in 1..CHUNKED.len() {
            let (reply, body, used) = read(CHUNKED, piece);
            assert!(reply.done() && reply.status == 200 && !reply.closes);
            assert_eq!(
                (body.as_slice(), used),
                (&b"hello, it is me"[..], CHUNKED.len() - 4),
                "cut every {piece}"
            );
        }
        for piece in 1..LENGTH.len() {
            let (reply, body, used) = read(LENGTH, piece);
            assert!(reply.done() && reply.status == 429 && reply.closes);
            assert_eq!((body.as_slice(), used), (&b"hello"[..], LENGTH.len() - 4), "cut every {piece}");
        }
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection_and_a_short_one_does_not() {
        let (reply, body, _) = read(b"HTTP/1.1 200 OK\r\n\r\nall there is", 7);
        assert!(!reply.done() && reply.ends_here());
        assert_eq!(body, b"all there is");
        let (reply, _, _) = read(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", 64);
        assert!(!reply.ends_here());
    }

    #[test]
    fn an_interim_answer_is_passed_over_and_an_empty_body_is_whole() {
        let (reply, body, _) =
            read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 11);
        assert!(reply.done() && reply.status == 200 && body.is_empty());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for bytes in [
            &b"SSH-2.0-nonsense\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(Reply::default().feed(bytes, &mut |_| {}).is_err());
        }
    }
}
