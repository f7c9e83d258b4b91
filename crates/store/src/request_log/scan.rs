//! Reading an index at several places side by side, in one order.
//!
//! In: a lead and a range of ids. Out: ids, newest or oldest first, each with whether the filter lets it through; one after
//! the other, for as long as they are wanted.

use rusqlite::{OptionalExtension, Rows, Transaction, params, params_from_iter, types::Value};

use super::{
    Filter, Order,
    plan::{self, Lead, Values},
};
use crate::{error::StoreError, ledger::RequestId};

/// Greater than every id.
const END: [u8; 17] = [0xFF; 17];

/// Where ids may lie: from one, up to before another.
#[derive(Debug)]
pub(super) struct Range {
    order: Order,
    from: Vec<u8>,
    before: Vec<u8>,
}

impl Range {
    pub(super) fn of(filter: &Filter, order: Order, after: Option<RequestId>) -> Range {
        let mut from = filter.since_ms.map_or_else(Vec::new, least_id);
        let mut before = filter.until_ms.map_or_else(|| END.to_vec(), least_id);
        match (order, after) {
            (Order::NewestFirst, Some(after)) => before = before.min(after.to_vec()),
            // The next text of bytes there is.
            (Order::OldestFirst, Some(after)) => from = from.max([after.as_slice(), &[0]].concat()),
            (_, None) => {}
        }
        Range { order, from, before }
    }

    pub(super) fn has(&self, id: &RequestId) -> bool {
        *self.from <= id[..] && id[..] < *self.before
    }

    /// Whether the first of two comes before the second.
    fn comes_first(&self, id: &RequestId, other: &RequestId) -> bool {
        match self.order {
            Order::NewestFirst => id > other,
            Order::OldestFirst => id < other,
        }
    }

    /// Whether `reach` (ran out, by how much, or the last id) goes beyond another one.
    pub(super) fn reaches_further(&self, reach: Reach, other: Reach) -> bool {
        match (reach, other) {
            (Reach::All(count), Reach::All(others)) => count < others,
            (Reach::All(_), Reach::UpTo(_)) => true,
            (Reach::UpTo(_), Reach::All(_)) => false,
            (Reach::UpTo(id), Reach::UpTo(others)) => self.comes_first(&others, &id),
        }
    }
}

/// How far a few rows of an index go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// There are no more than these.
    All(usize),
    UpTo(RequestId),
}

/// The least id of a time.
fn least_id(ms: i64) -> Vec<u8> {
    let ms = ms.clamp(0, (1 << 48) - 1);
    [&ms.to_be_bytes()[2..], &[0; 10]].concat()
}

/// One place of an index.
struct Arm<'s> {
    rows: Rows<'s>,
    next: Option<(RequestId, bool)>,
}

impl Arm<'_> {
    fn step(&mut self) -> Result<(), StoreError> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, row.get(1)?)),
            None => None,
        };
        Ok(())
    }
}

/// Tells the rows of a lead in their order, each with whether the filter lets it through, until `tell` has enough. Without
/// a filter all are let through.
pub(super) fn each(
    transaction: &Transaction<'_>,
    lead: &Lead,
    filter: Option<&Filter>,
    range: &Range,
    mut tell: impl FnMut(RequestId, bool) -> bool,
) -> Result<(), StoreError> {
    let (sql, _) = statement(lead, filter, range, &[]);
    let mut statements =
        lead.arms.iter().map(|_| transaction.prepare(&sql)).collect::<Result<Vec<_>, _>>()?;
    let mut arms = Vec::with_capacity(statements.len());
    for (statement, place) in statements.iter_mut().zip(&lead.arms) {
        let (_, values) = self::statement(lead, filter, range, place);
        let mut arm = Arm { rows: statement.query(params_from_iter(values))?, next: None };
        arm.step()?;
        arms.push(arm);
    }
    while let Some((first, (id, let_through))) = first(&arms, range) {
        if !tell(id, let_through) {
            break;
        }
        arms[first].step()?;
    }
    Ok(())
}

/// The arm whose next row comes first.
fn first(arms: &[Arm<'_>], range: &Range) -> Option<(usize, (RequestId, bool))> {
    let heads = arms.iter().enumerate().filter_map(|(index, arm)| Some((index, arm.next?)));
    heads.reduce(|best, other| if range.comes_first(&other.1.0, &best.1.0) { other } else { best })
}

/// The statement of a lead's arms, with the values of one of them.
fn statement(lead: &Lead, filter: Option<&Filter>, range: &Range, place: &[Value]) -> (String, Vec<Value>) {
    let mut values = Values(place.to_vec());
    if place.is_empty() {
        // The text is the same for all arms.
        values.0.resize(lead.arms.first().map_or(0, Vec::len), Value::Null);
    }
    let from = values.put(range.from.clone());
    let before = values.put(range.before.clone());
    let rest = filter.map_or_else(|| "1".to_owned(), |filter| lead.rest(filter, &mut values));
    let (index, place) = match lead.index {
        "" => (String::new(), String::new()),
        index => (format!("INDEXED BY {index}"), format!("{} AND", lead.place)),
    };
    let order = match range.order {
        Order::NewestFirst => "DESC",
        Order::OldestFirst => "ASC",
    };
    let sql = format!(
        "SELECT id, {rest} FROM requests {index} WHERE {place} id >= {from} AND id < {before} ORDER BY id {order}"
    );
    (sql, values.0)
}

/// Those of the ids that the filter lets through.
pub(super) fn among(
    transaction: &Transaction<'_>,
    filter: &Filter,
    range: &Range,
    mut ids: Vec<RequestId>,
) -> Result<Vec<RequestId>, StoreError> {
    let mut values = Values(vec![Value::Null]);
    let mut condition = plan::condition(filter, &[], &mut values);
    if let Some(upstream_id) = &filter.upstream_id {
        condition += &format!(" AND upstream_request_id = {}", values.put(upstream_id.clone()));
    }
    let mut look = transaction.prepare(&format!("SELECT 1 FROM requests WHERE id = ?1 AND {condition}"))?;
    let mut found = Vec::new();
    ids.retain(|id| range.has(id));
    for id in ids {
        values.0[0] = Value::from(id.to_vec());
        if look.exists(params_from_iter(values.0.iter()))? {
            found.push(id);
        }
    }
    found.sort_unstable();
    if range.order == Order::NewestFirst {
        found.reverse();
    }
    Ok(found)
}

/// The requests that the provider knows by this id: looked up in one quarter of a day after the other.
pub(super) fn by_upstream_id(
    transaction: &Transaction<'_>,
    upstream_id: &str,
) -> Result<Vec<RequestId>, StoreError> {
    const INDEX: &str =
        "FROM requests INDEXED BY requests_by_upstream_id WHERE upstream_request_id IS NOT NULL";
    let mut earlier = transaction.prepare(&format!(
        "SELECT at_ms / 21600000 {INDEX} AND at_ms / 21600000 < ?1 ORDER BY 1 DESC LIMIT 1"
    ))?;
    let mut look = transaction
        .prepare(&format!("SELECT id {INDEX} AND at_ms / 21600000 = ?1 AND upstream_request_id = ?2"))?;
    let (mut found, mut quarter) = (Vec::new(), i64::MAX);
    while let Some(next) = earlier.query_row([quarter], |row| row.get(0)).optional()? {
        quarter = next;
        for id in look.query_map(params![quarter, upstream_id], |row| row.get(0))? {
            found.push(id?);
        }
    }
    Ok(found)
}
