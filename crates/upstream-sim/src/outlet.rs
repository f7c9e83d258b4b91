//! The way of an answer to the socket: HTTP framing, compression, and the cutting into packets.
//!
//! In: a head and pieces of body; out: writes. What is handed in leaves with the next flush, and a head leaves
//! together with the first piece, so a plain answer is one write. It must never change the order of bytes.

use crate::record::Tracked;
use crate::script::Packets;
use crate::socket::{Gone, Socket};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::time::Duration;

/// How the peer finds the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimit {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Eof,
}

pub(crate) struct Outlet<'a> {
    pub(crate) socket: &'a mut Socket,
    pub(crate) tracked: &'a Tracked,
    /// Bytes not yet written; the buffer is the connection's, so that it is used again.
    pending: &'a mut Vec<u8>,
    delimit: Delimit,
    packets: Packets,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(
        socket: &'a mut Socket,
        tracked: &'a Tracked,
        pending: &'a mut Vec<u8>,
        delimit: Delimit,
        packets: Packets,
    ) -> Outlet<'a> {
        Outlet { socket, tracked, pending, delimit, packets, gzip: None }
    }

    /// Compresses the body from here on.
    pub(crate) fn compress(&mut self) {
        self.gzip = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    }

    /// Bytes of the head.
    pub(crate) fn head(&mut self) -> &mut Vec<u8> {
        self.pending
    }

    /// Sends the head byte by byte.
    pub(crate) async fn trickle_head(&mut self, every: Duration) -> Result<(), Gone> {
        let head = std::mem::take(self.pending);
        for byte in head {
            self.socket.pause(every).await?;
            self.socket.write(&[byte], self.tracked.bytes_sent()).await?;
        }
        Ok(())
    }

    /// Sends a piece of the body.
    pub(crate) async fn body(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.gzip.as_mut() {
            None => self.push(bytes).await,
            Some(encoder) => {
                // Writing to memory does not fail. The flush makes each event readable when it arrives.
                let _ = encoder.write_all(bytes).and_then(|()| encoder.flush());
                let packed = std::mem::take(encoder.get_mut());
                self.push(&packed).await
            }
        }
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        match self.packets {
            Packets::Burst => {
                self.frame(bytes);
                Ok(())
            }
            Packets::PerEvent => {
                self.frame(bytes);
                self.flush().await
            }
            Packets::Chop(size) => {
                if !self.pending.is_empty() {
                    // The head is not cut, and does not travel with the first piece.
                    self.flush().await?;
                }
                for piece in bytes.chunks(size) {
                    // A chunk of its own, so that the peer's HTTP library does not put the pieces together.
                    self.frame(piece);
                    self.flush().await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        }
    }

    fn frame(&mut self, bytes: &[u8]) {
        if self.delimit == Delimit::Chunked {
            // Writing to memory does not fail.
            let _ = write!(self.pending, "{:x}\r\n", bytes.len());
            self.pending.extend_from_slice(bytes);
            self.pending.extend_from_slice(b"\r\n");
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Writes what is pending and looks whether the peer is still there.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        self.socket.look()?;
        self.socket.write(self.pending, self.tracked.bytes_sent()).await?;
        self.pending.clear();
        self.tracked.tell();
        Ok(())
    }

    /// Ends the body in order.
    pub(crate) async fn finish(&mut self) -> Result<(), Gone> {
        if let Some(encoder) = self.gzip.take() {
            let rest = encoder.finish().unwrap_or_default();
            self.push(&rest).await?;
        }
        if self.delimit == Delimit::Chunked {
            self.pending.extend_from_slice(b"0\r\n\r\n");
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.flush().await
    }

    /// Announces the whole piece, sends half of it.
    pub(crate) async fn half(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        if self.delimit == Delimit::Chunked {
            let _ = write!(self.pending, "{:x}\r\n", bytes.len());
        }
        self.pending.extend_from_slice(&bytes[..bytes.len() / 2]);
        self.flush().await
    }

    /// Flushes, then waits for some time.
    pub(crate) async fn pause(&mut self, time: Duration) -> Result<(), Gone> {
        if time.is_zero() {
            return Ok(());
        }
        self.flush().await?;
        self.socket.pause(time).await
    }

    /// Flushes, then says nothing until the peer leaves.
    pub(crate) async fn fall_silent(&mut self) -> Gone {
        match self.flush().await {
            Ok(()) => self.socket.left().await,
            Err(gone) => gone,
        }
    }
}
