//! One of the clients: sends request after request, and sometimes leaves in the middle of one.
//!
//! In: a request's number; out: what became of it. What is drawn depends on the seed and the number alone, not on who
//! comes first. It must never wait for ever.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    mix::{Case, Mix},
    tally::Seen,
};
use crate::{
    chance::Chance,
    load::connection::{Broken, Connection},
};

/// A client waits so long for the end of an answer; the gateway's own clocks are far shorter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a hundred requests so many are left by their clients, if no answer comes first.
const LEAVERS_PERCENT: u64 = 8;
/// Clients leave within this time.
const LEAVE_WITHIN_MS: u64 = 900;
/// Connecting may have to be tried again while the machine is busy.
const CONNECT_TRIES: usize = 5;

/// A client with its connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    mix: Arc<Mix>,
    seed: u64,
    connection: Option<Connection>,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
struct Leave {
    after: Duration,
    by_reset: bool,
    /// A line end behind the body: legal, and known to blind HTTP libraries for the client's leaving.
    stray: bool,
}

impl Client {
    pub fn new(address: SocketAddr, mix: Arc<Mix>, seed: u64) -> Client {
        Client { address, mix, seed, connection: None }
    }

    /// Makes the request of this number. `tell` hears how each try ended; a try that crossed with the server's closing is made
    /// again. An error is a connection that could not be opened.
    pub async fn make(&mut self, number: u64, mut tell: impl FnMut(Seen, &Case)) -> Result<(), String> {
        let mix = self.mix.clone();
        let mut chance = Chance::of(self.seed, number);
        let case = mix.draw(&mut chance);
        let leave = (chance.below(100) < LEAVERS_PERCENT).then(|| Leave {
            after: Duration::from_millis(1 + chance.below(LEAVE_WITHIN_MS)),
            by_reset: chance.below(2) == 0,
            stray: chance.below(4) == 0,
        });
        loop {
            let seen = self.attempt(&case.bytes, leave).await?;
            tell(seen, case);
            if seen != Seen::Crossed {
                return Ok(());
            }
        }
    }

    async fn attempt(&mut self, request: &Bytes, leave: Option<Leave>) -> Result<Seen, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address).await?,
        };
        let is_new = connection.answered == 0;
        let mut bytes = request.clone();
        if leave.is_some_and(|leave| leave.stray) {
            bytes = [&request[..], b"\r\n"].concat().into();
        }
        let limit = leave.map_or(PATIENCE, |leave| leave.after);
        let outcome = timeout(limit, connection.exchange(&bytes, |_| {})).await;
        let heard = connection.heard.is_some();
        Ok(match outcome {
            Ok(Ok(answer)) => {
                if !answer.closes {
                    self.connection = Some(connection);
                }
                Seen::Answered(answer.status)
            }
            Ok(Err(Broken::Malformed(_))) => Seen::Broken,
            Ok(Err(_)) if heard => Seen::Broken,
            Ok(Err(_)) if is_new => Seen::Unanswered,
            Ok(Err(_)) => Seen::Crossed,
            Err(_) => match leave {
                Some(leave) => {
                    if leave.by_reset {
                        connection.reset();
                    }
                    Seen::Left { heard }
                }
                None => Seen::Stuck,
            },
        })
    }
}

async fn connect(address: SocketAddr) -> Result<Connection, String> {
    let mut last = String::new();
    for _ in 0..CONNECT_TRIES {
        match timeout(Duration::from_secs(10), Connection::open(address)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "not within 10 s".to_owned(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("cannot connect to the gateway: {last}"))
}
