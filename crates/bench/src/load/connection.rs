//! One keep-alive connection of a client.
//!
//! In: prepared bytes; out: the answer's pieces, its status and when it began. It must say whether anything was heard
//! before a failure: only then it is known that the request arrived.

use std::{io, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::reply::{Malformed, Reply};

/// Read at once: an event, an error or the start of a long body.
const READ_BYTES: usize = 16 * 1024;

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    inbox: Box<[u8]>,
    /// Requests answered so far.
    pub answered: u64,
    /// When the first byte of the current answer came.
    pub heard: Option<Instant>,
    /// When the first byte of its body came.
    pub body_began: Option<Instant>,
}

/// An answer that came to its end.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub status: u16,
    pub closes: bool,
}

/// Why there is none.
#[derive(Debug)]
pub enum Broken {
    Socket(io::Error),
    /// The server closed before the answer was whole.
    Closed,
    Malformed(Malformed),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Socket(error) => error.fmt(f),
            Broken::Closed => f.write_str("closed before the answer was whole"),
            Broken::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let inbox = vec![0; READ_BYTES].into();
        Ok(Connection { stream, inbox, answered: 0, heard: None, body_began: None })
    }

    /// Sends a request and reads its whole answer.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        mut on_body: impl FnMut(&[u8]),
    ) -> Result<Answer, Broken> {
        (self.heard, self.body_began) = (None, None);
        self.stream.write_all(request).await.map_err(Broken::Socket)?;
        let mut reply = Reply::default();
        loop {
            let count = self.stream.read(&mut self.inbox).await.map_err(Broken::Socket)?;
            if count == 0 {
                if !reply.ends_here() {
                    return Err(Broken::Closed);
                }
                self.answered += 1;
                return Ok(Answer { status: reply.status, closes: true });
            }
            if self.heard.is_none() {
                self.heard = Some(Instant::now());
            }
            let body_began = &mut self.body_began;
            let used = reply.feed(&self.inbox[..count], &mut |piece| {
                if body_began.is_none() {
                    *body_began = Some(Instant::now());
                }
                on_body(piece);
            });
            let used = used.map_err(Broken::Malformed)?;
            if reply.done() {
                if used < count {
                    return Err(Broken::Malformed(Malformed("bytes after the answer")));
                }
                self.answered += 1;
                return Ok(Answer { status: reply.status, closes: reply.closes });
            }
        }
    }

    /// The bare socket: a held connection needs no buffer.
    pub fn into_socket(self) -> TcpStream {
        self.stream
    }

    /// Closes with a reset instead of an orderly end.
    pub fn reset(self) {
        // Where it cannot be asked for it becomes an orderly end; nothing better is possible.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
    }
}
