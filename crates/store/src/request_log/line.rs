//! One request as the books have it.
//!
//! In: ids. Out: whole rows, with the names of key and user.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::{error::StoreError, ledger::RequestId, money::Nanos};

/// One that is open has the ending `open` and no charge yet.
#[derive(Clone, Debug)]
pub struct RequestLine {
    pub id: RequestId,
    pub at_ms: i64,
    pub account: Option<i64>,
    pub user: Option<String>,
    pub key_id: Option<i64>,
    pub key: Option<String>,
    pub dialect: String,
    pub operation: String,
    pub model: String,
    pub stream: bool,
    pub channel: Option<String>,
    /// JSON.
    pub attempts: String,
    pub ending: String,
    pub status: u16,
    pub cause: Option<String>,
    /// JSON.
    pub losses: Option<String>,
    /// JSON.
    pub usage: Option<String>,
    pub estimated: bool,
    pub unpriced: bool,
    pub hold: Nanos,
    pub charge: Nanos,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub queued_ms: i64,
    pub first_byte_ms: Option<i64>,
    pub total_ms: i64,
    pub upstream_request_id: Option<String>,
}

impl RequestLine {
    /// What was charged beyond what had been set aside.
    pub fn overrun(&self) -> Nanos {
        self.charge.minus(self.hold).max(Nanos::ZERO)
    }
}

const NAMES: &str = "LEFT JOIN api_keys k ON k.id = r.key_id
    LEFT JOIN accounts a ON a.id = r.account_id LEFT JOIN users u ON u.id = a.user_id";

const ENDED: &str = "SELECT r.id, r.at_ms, r.account_id, u.name, r.key_id, k.name, r.dialect, r.operation, r.model,
    r.stream, r.channel, r.attempts, r.ending, r.status, r.cause, r.usage, r.estimated, r.unpriced, r.hold_nanos,
    r.charge_nanos, r.bytes_in, r.bytes_out, r.queued_ms, r.first_byte_ms, r.total_ms, r.upstream_request_id,
    r.losses
    FROM requests r";

const OPEN: &str =
    "SELECT r.id, r.at_ms, r.account_id, u.name, r.key_id, k.name, r.dialect, r.operation, r.model,
    r.stream, NULL, '[]', 'open', 0, NULL, NULL, 0, 0, r.hold_nanos,
    0, r.bytes_in, 0, 0, NULL, 0, NULL, NULL
    FROM open_requests r";

/// The rows of these ids, in the order of the ids.
pub(super) fn read(connection: &Connection, ids: &[RequestId]) -> Result<Vec<RequestLine>, StoreError> {
    let mut statement = connection.prepare(&format!("{ENDED} {NAMES} WHERE r.id = ?1"))?;
    let lines = ids.iter().filter_map(|id| statement.query_row([id], line_of).optional().transpose());
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Those that are open: as many as run, which is bounded.
pub fn open(connection: &Connection) -> Result<Vec<RequestLine>, StoreError> {
    let mut statement = connection.prepare(&format!("{OPEN} {NAMES} ORDER BY r.id"))?;
    let lines = statement.query_map([], line_of)?.collect::<Result<_, _>>()?;
    Ok(lines)
}

/// One that is open.
pub(super) fn open_one(connection: &Connection, id: RequestId) -> Result<Option<RequestLine>, StoreError> {
    let mut statement = connection.prepare(&format!("{OPEN} {NAMES} WHERE r.id = ?1"))?;
    Ok(statement.query_row([id], line_of).optional()?)
}

fn line_of(row: &Row<'_>) -> rusqlite::Result<RequestLine> {
    Ok(RequestLine {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        account: row.get(2)?,
        user: row.get(3)?,
        key_id: row.get(4)?,
        key: row.get(5)?,
        dialect: row.get(6)?,
        operation: row.get(7)?,
        model: row.get(8)?,
        stream: row.get(9)?,
        channel: row.get(10)?,
        attempts: row.get(11)?,
        ending: row.get(12)?,
        status: row.get(13)?,
        cause: row.get(14)?,
        usage: row.get(15)?,
        estimated: row.get(16)?,
        unpriced: row.get(17)?,
        hold: Nanos(row.get(18)?),
        charge: Nanos(row.get(19)?),
        bytes_in: row.get(20)?,
        bytes_out: row.get(21)?,
        queued_ms: row.get(22)?,
        first_byte_ms: row.get(23)?,
        total_ms: row.get(24)?,
        upstream_request_id: row.get(25)?,
        losses: row.get(26)?,
    })
}
