//! A client's socket, shared between the HTTP library, which reads and writes, and the watch, which only looks.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Duration, Sleep, sleep},
};

use crate::connection::Connection;

/// After the last answer, a client that is still sending gets this long to read it: closing a socket with unread
/// bytes resets it, and the answer (413, for one) would be lost on the way.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes thrown away while lingering, at most.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct ClientSocket {
    stream: Arc<TcpStream>,
    connection: Arc<Connection>,
    lingering: Option<Lingering>,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    thrown_away: usize,
}

impl ClientSocket {
    pub(crate) fn new(stream: Arc<TcpStream>, connection: Arc<Connection>) -> ClientSocket {
        ClientSocket { stream, connection, lingering: None }
    }

    fn read_into(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let before = buffer.filled().len();
            match self.read_once(buffer) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {
                    self.connection.received(&buffer.filled()[before..]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl ClientSocket {
    /// One read. A read that does not fill the buffer has emptied the socket: its readiness is cleared then and there,
    /// which saves the read that would only say so (an owned `TcpStream` does the same).
    fn read_once(&self, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
        let mut emptied = None;
        let read = self.stream.try_io(Interest::READABLE, || match self.stream.try_read_buf(buffer) {
            Ok(count) if count > 0 && buffer.remaining() > 0 => {
                emptied = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => result,
        });
        emptied.map_or(read, Ok)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write_vectored(buffers) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write)?;
            self.lingering = Some(Lingering { until: Box::pin(sleep(LINGER)), thrown_away: 0 });
        }
        let mut scrap = [0; 8 * 1024];
        loop {
            let read = self.read_into(context, &mut scrap);
            let this = &mut *self;
            let Some(lingering) = &mut this.lingering else { return Poll::Ready(Ok(())) };
            match read {
                Poll::Ready(Ok(count)) if count > 0 && lingering.thrown_away < LINGER_BYTES => {
                    lingering.thrown_away += count;
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    return lingering.until.as_mut().poll(context).map(Ok);
                }
            }
        }
    }
}
