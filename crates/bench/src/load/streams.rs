//! Many streams at once, each event on its own way.
//!
//! In: a number of streams that do not end; out: the events that arrived in the measured window, the processor time spent
//! on them, and how many events came with one read (how far they were gathered on their way). The streams start
//! spread over a second, so that the upstream's clocks do not all tick at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep};

use super::{Meter, connection::Connection, saturation::window};

/// Over which the streams are started.
const SPREAD: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub streams: usize,
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Debug)]
pub struct Streams {
    pub events: u64,
    pub bytes: u64,
    /// Pieces in which the events came.
    pub pieces: u64,
    pub elapsed: Duration,
    pub cpu: Duration,
}

impl Streams {
    pub fn cpu_micros_per_event(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.events as f64
    }

    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    /// Share of one core that the measured process used.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    bytes: AtomicU64,
    pieces: AtomicU64,
}

impl Counts {
    fn read(&self) -> [u64; 3] {
        [&self.events, &self.bytes, &self.pieces].map(|count| count.load(Ordering::Relaxed))
    }
}

pub async fn run(address: SocketAddr, request: &Bytes, plan: Plan, meter: Meter) -> Result<Streams, String> {
    let counts = Arc::new(Counts::default());
    let mut workers = JoinSet::new();
    for number in 0..plan.streams {
        let start = SPREAD.mul_f64(number as f64 / plan.streams as f64);
        workers.spawn(listen(address, request.clone(), start, counts.clone()));
    }
    window(&mut workers, SPREAD + plan.warm_up).await?;
    let (began, cpu_before, before) = (Instant::now(), meter.read()?, counts.read());
    window(&mut workers, plan.window).await?;
    let (elapsed, cpu_after, after) = (began.elapsed(), meter.read()?, counts.read());
    workers.shutdown().await;
    let [events, bytes, pieces] = std::array::from_fn(|index| after[index] - before[index]);
    if events == 0 {
        return Err(format!("{address} sent no events in {elapsed:?}"));
    }
    Ok(Streams { events, bytes, pieces, elapsed, cpu: cpu_after.saturating_sub(cpu_before) })
}

async fn listen(
    address: SocketAddr,
    request: Bytes,
    start: Duration,
    counts: Arc<Counts>,
) -> Result<(), String> {
    sleep(start).await;
    let mut connection = Connection::open(address).await.map_err(|error| format!("{address}: {error}"))?;
    let mut ends = EventEnds::default();
    let answer = connection
        .exchange(&request, |piece| {
            counts.events.fetch_add(ends.count(piece), Ordering::Relaxed);
            counts.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
            counts.pieces.fetch_add(1, Ordering::Relaxed);
        })
        .await
        .map_err(|why| format!("{address}: {why}"))?;
    Err(format!("a stream of {address} ended with {}", answer.status))
}

/// Counts the empty lines that end events, across the pieces of a body.
#[derive(Debug, Default)]
pub struct EventEnds {
    after_line_end: bool,
}

impl EventEnds {
    pub fn count(&mut self, piece: &[u8]) -> u64 {
        let mut events = 0;
        for byte in piece {
            match byte {
                b'\n' if self.after_line_end => {
                    events += 1;
                    self.after_line_end = false;
                }
                b'\n' => self.after_line_end = true,
                b'\r' => {}
                _ => self.after_line_end = false,
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_however_they_are_cut() {
        let stream = b"event: a\ndata: 1\n\ndata: 2\r\n\r\n: c\n\ndata: 3\n\n";
        for piece in 1..=stream.len() {
            let mut ends = EventEnds::default();
            let count: u64 = stream.chunks(piece).map(|piece| ends.count(piece)).sum();
            assert_eq!(count, 4, "cut every {piece}");
        }
    }
}
