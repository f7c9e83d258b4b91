//! Streams that have begun and then are silent, held open.
//!
//! In: how many; out: the open sockets. Each has been given its first events when this returns. Dropping them ends the
//! streams. It must keep nothing per stream but the socket: the same machine holds the other ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use super::{reply::Reply, streams::EventEnds};

/// Streams being opened at once.
const OPENING: usize = 64;
/// For one stream to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens `count` streams and reads each up to its `events`th event.
pub async fn open(
    address: SocketAddr,
    request: &Bytes,
    count: usize,
    events: u64,
) -> Result<Vec<TcpStream>, String> {
    let places = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let (request, places) = (request.clone(), places.clone());
        opening.spawn(async move {
            let _place = places.acquire_owned().await;
            match timeout(PATIENCE, begin(address, &request, events)).await {
                Ok(begun) => begun,
                Err(_) => Err(format!("a stream of {address} did not begin within {PATIENCE:?}")),
            }
        });
    }
    let mut held = Vec::with_capacity(count);
    while let Some(opened) = opening.join_next().await {
        held.push(opened.map_err(|error| error.to_string())??);
    }
    Ok(held)
}

async fn begin(address: SocketAddr, request: &[u8], events: u64) -> Result<TcpStream, String> {
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(request).await.map_err(failed)?;
    let (mut reply, mut ends, mut seen) = (Reply::default(), EventEnds::default(), 0);
    let mut inbox = [0; 2048];
    while seen < events {
        let count = stream.read(&mut inbox).await.map_err(failed)?;
        let fed = reply.feed(&inbox[..count], &mut |piece| seen += ends.count(piece));
        fed.map_err(|why| format!("{address}: {why}"))?;
        if count == 0 || reply.done() || !matches!(reply.status, 0 | 200) {
            return Err(format!("{address} did not stream: status {}", reply.status));
        }
    }
    Ok(stream)
}
