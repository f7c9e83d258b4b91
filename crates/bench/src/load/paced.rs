//! Open loop: requests at a fixed rate, whatever the answers do.
//!
//! In: a rate over a number of connections; out: the time to the first byte of the body and to the end. A request that
//! comes due while its connection still waits for the last answer is timed from when it was due, so that a stall is
//! seen in all the requests that it held up. Requests that come due in the same millisecond leave together, because
//! the clock of the runtime has that grain; it is the same for every way.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep_until};

use super::{connection::Connection, histogram::Histogram};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: usize,
    /// Requests a second, over all connections.
    pub rate: f64,
    /// Requests in this time are not recorded.
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Debug, Default)]
pub struct Paced {
    pub first_byte: Histogram,
    pub whole: Histogram,
}

pub async fn run(address: SocketAddr, request: &Bytes, plan: Plan) -> Result<Paced, String> {
    let recorded = Arc::new(Mutex::new(Paced::default()));
    let mut workers = JoinSet::new();
    // All connections are open before the first request is due.
    let began = Instant::now() + Duration::from_millis(200);
    for number in 0..plan.connections {
        workers.spawn(work(address, request.clone(), plan, number, began, recorded.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    let paced = std::mem::take(&mut *recorded.lock().unwrap_or_else(PoisonError::into_inner));
    if paced.whole.count() == 0 {
        return Err(format!("{address} answered nothing"));
    }
    Ok(paced)
}

async fn work(
    address: SocketAddr,
    request: Bytes,
    plan: Plan,
    number: usize,
    began: Instant,
    recorded: Arc<Mutex<Paced>>,
) -> Result<(), String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("{address}: {error}"))?;
    let until = began + plan.warm_up + plan.window;
    for turn in 0_u32.. {
        let place = (f64::from(turn) * plan.connections as f64 + number as f64) / plan.rate;
        let due = began + Duration::from_secs_f64(place);
        if due >= until {
            break;
        }
        let mut from = due;
        if Instant::now() < due {
            sleep_until(due.into()).await;
            from = Instant::now();
        }
        let answer =
            connection.exchange(&request, |_| {}).await.map_err(|why| format!("{address}: {why}"))?;
        if answer.status != 200 || answer.closes {
            return Err(format!("{address} answered {}, closing: {}", answer.status, answer.closes));
        }
        if due >= began + plan.warm_up {
            let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.whole.record(from.elapsed());
            recorded.first_byte.record(connection.body_began.map_or(Duration::ZERO, |at| at - from));
        }
    }
    Ok(())
}
