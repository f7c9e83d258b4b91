//! From a filter to the indexes that could lead to its rows.
//!
//! In: a filter. Out: for each index that knows a part of it, what to look up there, and what is left to ask of each row.
//! Texts and numbers of the filter are always parameters, never part of the SQL.

use rusqlite::{Transaction, types::Value};

use super::{Endings, Filter, GOOD_ENDINGS};
use crate::error::StoreError;

/// Places of an index that are read side by side at most: an account that has had more pairs of model and ending than that is
/// looked for by something else.
const MOST_ARMS: usize = 1_000;

/// One way to the rows: an index, read at several places side by side, each in the order of the ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Lead {
    /// Empty: the log itself, in its own order.
    pub(super) index: &'static str,
    /// What the index is looked up by, with `?1`, `?2` … for the values of an arm; empty: nothing.
    pub(super) place: &'static str,
    pub(super) arms: Vec<Vec<Value>>,
    /// What the index has answered.
    known: &'static [Part],
}

impl Lead {
    pub(super) fn is_whole_log(&self) -> bool {
        self.index.is_empty()
    }

    /// What else is to be asked of each row.
    pub(super) fn rest(&self, filter: &Filter, values: &mut Values) -> String {
        condition(filter, self.known, values)
    }
}

/// The parameters of a statement, as they are named one after the other.
#[derive(Debug, Default)]
pub(super) struct Values(pub(super) Vec<Value>);

impl Values {
    pub(super) fn put(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("?{}", self.0.len())
    }

    fn put_all(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) -> String {
        let names: Vec<String> = values.into_iter().map(|value| self.put(value)).collect();
        format!("({})", names.join(", "))
    }
}

/// A part of a filter, but for ids and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Account,
    Keys,
    Model,
    Channel,
    Endings,
    Status,
    Stream,
    Estimated,
    Unpriced,
    Retried,
    Slow,
    Dear,
}

impl Part {
    const ALL: [Part; 12] = [
        Part::Account,
        Part::Keys,
        Part::Model,
        Part::Channel,
        Part::Endings,
        Part::Status,
        Part::Stream,
        Part::Estimated,
        Part::Unpriced,
        Part::Retried,
        Part::Slow,
        Part::Dear,
    ];

    /// What a row must be for this part; `None`: nothing is asked.
    fn of(self, filter: &Filter, values: &mut Values) -> Option<String> {
        let flag = |column: &str, wanted: bool| format!("{column} = {}", u8::from(wanted));
        Some(match self {
            Part::Account => format!("account_id = {}", values.put(filter.account?)),
            Part::Keys => {
                format!("key_id IS NOT NULL AND key_id IN {}", values.put_all(filter.keys.clone()?))
            }
            Part::Model => format!("model = {}", values.put(filter.model.clone()?)),
            Part::Channel => {
                format!("channel IS NOT NULL AND channel = {}", values.put(filter.channel.clone()?))
            }
            Part::Endings => match &filter.endings {
                Endings::Any => return None,
                Endings::Failed => {
                    format!("ending NOT IN {}", values.put_all(GOOD_ENDINGS.map(str::to_owned)))
                }
                Endings::These(these) => format!("ending IN {}", values.put_all(these.clone())),
            },
            Part::Status => {
                let (from, to) = filter.status?;
                format!("status BETWEEN {} AND {}", values.put(from), values.put(to))
            }
            Part::Stream => flag("stream", filter.stream?),
            Part::Estimated => flag("estimated", filter.estimated?),
            Part::Unpriced => flag("unpriced", filter.unpriced?),
            Part::Retried => flag("(json_array_length(attempts) > 1)", filter.retried?),
            Part::Slow => format!("total_ms > {}", values.put(milliseconds(filter.slower_than_ms?))),
            Part::Dear => format!("charge_nanos > {}", values.put(filter.dearer_than?.0)),
        })
    }
}

fn milliseconds(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// All that the filter asks for, except ids, times and what is `known` already.
pub(super) fn condition(filter: &Filter, known: &[Part], values: &mut Values) -> String {
    let parts = Part::ALL.into_iter().filter(|part| !known.contains(part));
    let terms: Vec<String> =
        parts.filter_map(|part| part.of(filter, values)).map(|term| format!("({term})")).collect();
    if terms.is_empty() { "1".to_owned() } else { terms.join(" AND ") }
}

/// The indexes that know a part of the filter; the log itself, if none does.
pub(super) fn leads(transaction: &Transaction<'_>, filter: &Filter) -> Result<Vec<Lead>, StoreError> {
    use Part::{
        Account, Channel, Dear, Endings as Ended, Estimated, Keys, Model, Retried, Slow, Status, Unpriced,
    };
    let mut leads = Vec::new();
    let mut lead = |index, place, arms, known| leads.push(Lead { index, place, arms, known });
    let endings = endings(transaction, filter)?;
    let with_ending = |values: Vec<Value>| -> Vec<Vec<Value>> {
        let arm = |(value, ending): (&Value, &String)| vec![value.clone(), Value::from(ending.clone())];
        values.iter().flat_map(|value| endings.iter().map(move |ending| (value, ending))).map(arm).collect()
    };
    if let Some(keys) = &filter.keys {
        let arms = with_ending(keys.iter().map(|key| Value::from(*key)).collect());
        lead("requests_by_key", "key_id = ?1 AND ending = ?2", arms, &[Keys, Ended]);
    }
    if let Some(account) = filter.account
        && let Some(arms) = of_account(transaction, account, filter)?
    {
        let place = "account_id = ?1 AND model = ?2 AND ending = ?3";
        lead("requests_by_account", place, arms, &[Account, Model, Ended]);
    }
    if let Some(model) = &filter.model {
        let arms = with_ending(vec![model.clone().into()]);
        lead("requests_by_model", "model = ?1 AND ending = ?2", arms, &[Model, Ended]);
    }
    if let Some(channel) = &filter.channel {
        let arms = with_ending(vec![channel.clone().into()]);
        lead("requests_by_channel", "channel = ?1 AND ending = ?2", arms, &[Channel, Ended]);
    }
    if filter.endings != Endings::Any {
        let arms = endings.iter().map(|ending| vec![ending.clone().into()]).collect();
        lead("requests_by_ending", "ending = ?1", arms, &[Ended]);
    }
    if let Some((from, to)) = filter.status.filter(|(from, to)| *to < 200 || *from > 299) {
        let arms = statuses(transaction, from, to)?;
        lead("requests_by_status", "status = ?1 AND status NOT BETWEEN 200 AND 299", arms, &[Status]);
    }
    let mut rare = |index, place, known| lead(index, place, vec![Vec::new()], known);
    if filter.estimated == Some(true) {
        rare("requests_estimated", "estimated = 1", &[Estimated]);
    }
    if filter.unpriced == Some(true) {
        rare("requests_unpriced", "unpriced = 1", &[Unpriced]);
    }
    if filter.retried == Some(true) {
        rare("requests_retried", "json_array_length(attempts) > 1", &[Retried]);
    }
    // Those over the next lower mark; how far over is asked of each row, unless it is the mark itself.
    let slow: [(i64, _, _); 3] = [
        (300_000, "requests_over_5_min", "total_ms > 300000"),
        (60_000, "requests_over_1_min", "total_ms > 60000"),
        (10_000, "requests_over_10_s", "total_ms > 10000"),
    ];
    if let Some(ms) = filter.slower_than_ms.map(milliseconds)
        && let Some((mark, index, place)) = slow.into_iter().find(|(mark, ..)| ms >= *mark)
    {
        rare(index, place, if ms == mark { &[Slow] } else { &[] });
    }
    let dear: [(i64, _, _); 3] = [
        (1_000_000_000, "requests_over_1_dollar", "charge_nanos > 1000000000"),
        (100_000_000, "requests_over_10_cents", "charge_nanos > 100000000"),
        (10_000_000, "requests_over_1_cent", "charge_nanos > 10000000"),
    ];
    if let Some(nanos) = filter.dearer_than.map(|amount| amount.0)
        && let Some((mark, index, place)) = dear.into_iter().find(|(mark, ..)| nanos >= *mark)
    {
        rare(index, place, if nanos == mark { &[Dear] } else { &[] });
    }
    if leads.is_empty() {
        leads.push(Lead { arms: vec![Vec::new()], ..Lead::default() });
    }
    Ok(leads)
}

/// The models and endings that the account has had, an arm for each that the filter lets through; `None`: too many.
fn of_account(
    transaction: &Transaction<'_>,
    account: i64,
    filter: &Filter,
) -> Result<Option<Vec<Vec<Value>>>, StoreError> {
    // From one to the next in the index: as many look-ups as there are.
    let mut model_behind = transaction.prepare(
        "SELECT min(model) FROM requests INDEXED BY requests_by_account WHERE account_id = ?1 AND model > ?2",
    )?;
    let mut ending_behind = transaction.prepare(
        "SELECT min(ending) FROM requests INDEXED BY requests_by_account
         WHERE account_id = ?1 AND model = ?2 AND ending > ?3",
    )?;
    let (mut arms, mut walked) = (Vec::new(), 0);
    let mut model = match &filter.model {
        Some(model) => Some(model.clone()),
        None => model_behind.query_row((account, ""), |row| row.get(0))?,
    };
    while let Some(of_model) = model {
        let mut ending = Some(String::new());
        while let Some(before) = ending {
            walked += 1;
            if walked > MOST_ARMS {
                return Ok(None);
            }
            ending = ending_behind.query_row((account, &of_model, before), |row| row.get(0))?;
            if let Some(ending) = ending.as_ref().filter(|ending| filter.endings.has(ending)) {
                arms.push(vec![account.into(), of_model.clone().into(), ending.clone().into()]);
            }
        }
        model = match &filter.model {
            Some(_) => None,
            None => model_behind.query_row((account, of_model), |row| row.get(0))?,
        };
    }
    Ok(Some(arms))
}

/// The endings that there are in the log, and that the filter lets through.
fn endings(transaction: &Transaction<'_>, filter: &Filter) -> Result<Vec<String>, StoreError> {
    // From one to the next in the index: as many look-ups as there are endings.
    let mut next = transaction.prepare("SELECT min(ending) FROM requests WHERE ending > ?1")?;
    let (mut found, mut last) = (Vec::new(), String::new());
    while let Some(ending) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        if filter.endings.has(&ending) {
            found.push(ending.clone());
        }
        last = ending;
    }
    Ok(found)
}

/// The statuses between two that there are in the log, an arm for each.
fn statuses(transaction: &Transaction<'_>, from: u16, to: u16) -> Result<Vec<Vec<Value>>, StoreError> {
    let mut next = transaction.prepare(
        "SELECT min(status) FROM requests INDEXED BY requests_by_status
         WHERE status NOT BETWEEN 200 AND 299 AND status >= ?1 AND status <= ?2",
    )?;
    let (mut found, mut from) = (Vec::new(), i64::from(from));
    while let Some(status) = next.query_row([from, i64::from(to)], |row| row.get::<_, Option<i64>>(0))? {
        found.push(vec![status.into()]);
        from = status + 1;
    }
    Ok(found)
}
