//! Many clients at once, and somebody who watches the gateway meanwhile.
//!
//! In: a range of request numbers; out: a tally, and the largest readings. It returns when every request of the range has
//! ended for its client, and all clients have closed their connections.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    client::Client,
    mix::Mix,
    reading::{Highest, Watched},
    tally::{Seen, Tally},
};

/// How often the gateway is read meanwhile.
const READ_EVERY: Duration = Duration::from_millis(200);

/// Who goes where.
#[derive(Clone, Debug)]
pub struct Crowd {
    pub address: SocketAddr,
    pub mix: Arc<Mix>,
    pub seed: u64,
    pub at_once: u64,
}

impl Crowd {
    pub async fn send(
        &self,
        numbers: Range<u64>,
        watched: &Watched,
        highest: &mut Highest,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let tallied = Arc::new(Mutex::new(std::mem::take(tally)));
        let mut clients = JoinSet::new();
        for _ in 0..self.at_once.min(numbers.end - numbers.start) {
            let client = Client::new(self.address, self.mix.clone(), self.seed);
            clients.spawn(act(client, next.clone(), numbers.end, tallied.clone()));
        }
        loop {
            tokio::select! {
                ended = clients.join_next() => match ended {
                    None => break,
                    Some(ended) => ended.map_err(|error| error.to_string())?,
                },
                () = tokio::time::sleep(READ_EVERY) => highest.add(&watched.read().await?),
            }
        }
        *tally = std::mem::take(&mut *lock(&tallied));
        Ok(())
    }
}

async fn act(mut client: Client, next: Arc<AtomicU64>, end: u64, tallied: Arc<Mutex<Tally>>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let made = client.make(number, |seen, case| {
            lock(&tallied).add(seen);
            if matches!(seen, Seen::Stuck | Seen::Unanswered) {
                eprintln!("request {number} ({}): {seen:?}", case.name);
            }
        });
        if let Err(why) = made.await {
            lock(&tallied).refused += 1;
            eprintln!("request {number}: {why}");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
