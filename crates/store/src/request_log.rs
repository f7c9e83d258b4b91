//! The request log: found by what people ask for, page by page.
//!
//! In: a filter, and where the last page ended. Out: the next requests in the order of their ids, which is that of time. A
//! page never looks at more than a bounded number of rows: where what is asked for is too rare for that, it says how far
//! it came, and the next one goes on from there.

mod line;
mod plan;
mod scan;

use rusqlite::{Connection, OptionalExtension, Transaction};

pub use self::line::{RequestLine, open};
use self::{
    plan::Lead,
    scan::{Range, Reach},
};
use crate::{error::StoreError, ledger::RequestId, money::Nanos};

/// Endings that are nobody's failure.
pub(crate) const GOOD_ENDINGS: [&str; 2] = ["completed", "client_left"];

/// Rows looked at for one page, where each is a look-up of its own, and where they lie side by side.
const EXAMINED: usize = 3_000;
const EXAMINED_IN_ORDER: usize = 50_000;
/// Rows of each index that are looked at to see which of them is the sparsest.
const PROBED: usize = 256;

/// What is looked for; an absent part lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Came in at this time or later, before that one: by the id, which holds the time.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    pub account: Option<i64>,
    /// One of these keys.
    pub keys: Option<Vec<i64>>,
    /// As the caller named it.
    pub model: Option<String>,
    /// The channel that delivered, or was tried last.
    pub channel: Option<String>,
    pub endings: Endings,
    /// The HTTP status that the caller got, from and to.
    pub status: Option<(u16, u16)>,
    pub stream: Option<bool>,
    pub estimated: Option<bool>,
    pub unpriced: Option<bool>,
    /// More than one channel was tried.
    pub retried: Option<bool>,
    pub slower_than_ms: Option<u64>,
    pub dearer_than: Option<Nanos>,
    pub id: Option<RequestId>,
    pub upstream_id: Option<String>,
}

impl Filter {
    /// Whether it lets a request through that has not ended.
    pub fn lets_open_through(&self, line: &RequestLine) -> bool {
        fn asked<T>(wanted: Option<&T>, is: impl Fn(&T) -> bool) -> bool {
            wanted.is_none_or(is)
        }
        // Nobody knows yet.
        let unknown = self.channel.is_some()
            || self.status.is_some()
            || self.estimated == Some(true)
            || self.unpriced == Some(true)
            || self.retried == Some(true)
            || self.slower_than_ms.is_some()
            || self.dearer_than.is_some()
            || self.upstream_id.is_some();
        !unknown
            && self.endings.has(&line.ending)
            && self.endings != Endings::Failed
            && scan::Range::of(self, Order::NewestFirst, None).has(&line.id)
            && asked(self.account.as_ref(), |account| line.account == Some(*account))
            && asked(self.keys.as_ref(), |keys| line.key_id.is_some_and(|key| keys.contains(&key)))
            && asked(self.model.as_ref(), |model| line.model == *model)
            && asked(self.stream.as_ref(), |stream| line.stream == *stream)
            && asked(self.id.as_ref(), |id| line.id == *id)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Endings {
    #[default]
    Any,
    /// All but completed answers and callers who left.
    Failed,
    These(Vec<String>),
}

impl Endings {
    fn has(&self, ending: &str) -> bool {
        match self {
            Endings::Any => true,
            Endings::Failed => !GOOD_ENDINGS.contains(&ending),
            Endings::These(these) => these.iter().any(|this| this == ending),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    pub lines: Vec<RequestLine>,
    /// Where the next page begins: behind this id. `None`: there is nothing more.
    pub next: Option<RequestId>,
    /// The page is not full because enough rows were looked at; what lies behind `next` has not been.
    pub cut_short: bool,
}

/// The next `limit` requests that the filter lets through, behind `after`.
pub fn page(
    connection: &Connection,
    filter: &Filter,
    order: Order,
    after: Option<RequestId>,
    limit: usize,
) -> Result<Page, StoreError> {
    // What was found is still there when it is read.
    let transaction = connection.unchecked_transaction()?;
    let range = Range::of(filter, order, after);
    let found = if filter.id.is_some() || filter.upstream_id.is_some() {
        let mut ids = scan::among(&transaction, filter, &range, named(&transaction, filter)?)?;
        let next = if ids.len() > limit { ids[..limit].last().copied() } else { None };
        ids.truncate(limit);
        Found { ids, next, cut_short: false }
    } else {
        search(&transaction, filter, &range, limit)?
    };
    let lines = line::read(&transaction, &found.ids)?;
    Ok(Page { lines, next: found.next, cut_short: found.cut_short })
}

/// One request, whether it has ended or not.
pub fn find(connection: &Connection, id: RequestId) -> Result<Option<RequestLine>, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    match line::read(&transaction, &[id])?.pop() {
        Some(line) => Ok(Some(line)),
        None => line::open_one(&transaction, id),
    }
}

/// From when on the log is whole: what came in before was removed by retention.
pub fn kept_from_ms(connection: &Connection) -> Result<i64, StoreError> {
    let kept = connection.query_row("SELECT kept_from_ms FROM request_log", [], |row| row.get(0));
    Ok(kept.optional()?.unwrap_or_default())
}

/// The ids of the keys of this name, whoever owns them.
pub fn keys_named(connection: &Connection, name: &str) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare("SELECT id FROM api_keys WHERE name = ?1 ORDER BY id")?;
    let keys = statement.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(keys)
}

/// The account of the user of this name.
pub fn account_of(connection: &Connection, user: &str) -> Result<Option<i64>, StoreError> {
    const ACCOUNT: &str = "SELECT a.id FROM accounts a JOIN users u ON u.id = a.user_id WHERE u.name = ?1";
    Ok(connection.query_row(ACCOUNT, [user], |row| row.get(0)).optional()?)
}

/// The account of a user, by number.
pub fn account_of_user(connection: &Connection, user_id: i64) -> Result<Option<i64>, StoreError> {
    let account =
        connection.query_row("SELECT id FROM accounts WHERE user_id = ?1", [user_id], |row| row.get(0));
    Ok(account.optional()?)
}

/// Ids that a filter lets through, and how far the search came.
#[derive(Debug)]
struct Found {
    ids: Vec<RequestId>,
    next: Option<RequestId>,
    cut_short: bool,
}

/// The requests that a filter names by an id, ours or the provider's.
fn named(transaction: &Transaction<'_>, filter: &Filter) -> Result<Vec<RequestId>, StoreError> {
    match (filter.id, &filter.upstream_id) {
        (Some(id), _) => Ok(vec![id]),
        (None, Some(upstream_id)) => scan::by_upstream_id(transaction, upstream_id),
        (None, None) => Ok(Vec::new()),
    }
}

/// Follows the sparsest index, and looks at each of its rows.
fn search(
    transaction: &Transaction<'_>,
    filter: &Filter,
    range: &Range,
    limit: usize,
) -> Result<Found, StoreError> {
    let lead = sparsest(transaction, plan::leads(transaction, filter)?, range)?;
    let most = if lead.is_whole_log() { EXAMINED_IN_ORDER } else { EXAMINED };
    let mut found = Found { ids: Vec::with_capacity(limit.min(PROBED)), next: None, cut_short: false };
    let mut examined = 0;
    scan::each(transaction, &lead, Some(filter), range, |id, let_through| {
        examined += 1;
        if let_through {
            found.ids.push(id);
        }
        let full = found.ids.len() >= limit;
        if full || examined >= most {
            (found.next, found.cut_short) = (Some(id), !full);
        }
        found.next.is_none()
    })?;
    Ok(found)
}

/// The index whose next rows reach furthest: it has the fewest of them.
fn sparsest(transaction: &Transaction<'_>, mut leads: Vec<Lead>, range: &Range) -> Result<Lead, StoreError> {
    if leads.len() == 1 {
        return Ok(leads.remove(0));
    }
    let mut best: Option<(usize, Reach)> = None;
    for (index, lead) in leads.iter().enumerate() {
        let mut count = 0;
        let mut reach = Reach::All(0);
        scan::each(transaction, lead, None, range, |id, _| {
            count += 1;
            reach = if count < PROBED { Reach::All(count) } else { Reach::UpTo(id) };
            count < PROBED
        })?;
        if best.is_none_or(|(_, other)| range.reaches_further(reach, other)) {
            best = Some((index, reach));
        }
    }
    Ok(leads.swap_remove(best.map_or(0, |(index, _)| index)))
}
