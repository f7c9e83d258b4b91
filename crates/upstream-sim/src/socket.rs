//! One TCP connection, read and written by hand.
//!
//! In: an accepted stream; out: bytes both ways, and the news that the peer has left. Whatever it waits for
//! (room to write, time, nothing at all), it goes on reading, because a FIN or RST is only seen by a read. It
//! must never treat a half-closed peer as present: no client of an LLM provider closes its sending half.

use bytes::BytesMut;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// First size of the read buffer: holds an ordinary request.
const READ_CHUNK: usize = 16 * 1024;
/// Pipelined bytes kept while an answer is under way. More are thrown away and the connection is not reused.
const PIPELINE_MAX: usize = 1024 * 1024;

/// The peer has closed the connection or broken it.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) struct Socket {
    stream: TcpStream,
    /// Bytes read and not yet consumed.
    pub(crate) inbox: BytesMut,
    /// Pipelined bytes were thrown away.
    flooded: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Socket {
        Socket { stream, inbox: BytesMut::with_capacity(READ_CHUNK), flooded: false }
    }

    /// Whether the bytes that follow are still those that the peer sent.
    pub(crate) fn can_be_reused(&self) -> bool {
        !self.flooded
    }

    /// Waits for at least one more byte in the inbox.
    pub(crate) async fn read_more(&mut self) -> Result<(), Gone> {
        loop {
            self.inbox.reserve(READ_CHUNK / 4);
            match self.stream.try_read_buf(&mut self.inbox) {
                Ok(0) => return Err(Gone),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.readable().await.map_err(|_| Gone)?;
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Looks whether the peer has left, without waiting. Costs no system call unless something has arrived.
    pub(crate) fn look(&mut self) -> Result<(), Gone> {
        loop {
            if self.inbox.len() > PIPELINE_MAX {
                self.inbox.clear();
                self.flooded = true;
            }
            self.inbox.reserve(READ_CHUNK / 4);
            match self.stream.try_read_buf(&mut self.inbox) {
                Ok(0) => return Err(Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Resolves when the peer has left.
    pub(crate) async fn left(&mut self) -> Gone {
        loop {
            if self.look().is_err() || self.stream.readable().await.is_err() {
                return Gone;
            }
        }
    }

    /// Waits, unless the peer leaves before.
    pub(crate) async fn pause(&mut self, time: Duration) -> Result<(), Gone> {
        if time.is_zero() {
            return Ok(());
        }
        let timer = tokio::time::sleep(time);
        tokio::select! {
            gone = self.left() => Err(gone),
            () = timer => Ok(()),
        }
    }

    /// Hands all the bytes to the kernel and counts them in `sent` as they go.
    pub(crate) async fn write(&mut self, bytes: &[u8], sent: &AtomicU64) -> Result<(), Gone> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => {
                    sent.fetch_add(written as u64, Ordering::Relaxed);
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    let ready = self.stream.ready(both).await.map_err(|_| Gone)?;
                    if ready.is_readable() {
                        self.look()?;
                    }
                }
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    /// Closes in order.
    pub(crate) fn fin(self) {
        drop(self.stream);
    }

    /// Closes with a reset.
    pub(crate) fn rst(self) {
        // A reset that cannot be asked for becomes a FIN; nothing better is possible.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        drop(self.stream);
    }

    /// Closes the sending half and reads on until the peer has seen it, so that unread bytes do not turn the
    /// close into a reset that would destroy the answer on its way.
    pub(crate) async fn fin_after_reading(mut self, patience: Duration) {
        let _ = socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
        let _ = tokio::time::timeout(patience, self.left()).await;
    }
}
