//! What models cost by public lists.
//!
//! In: a table of prices, the one that Sluice is built with or one of the operator's. Out: the price of a model by its name. The
//! table is read whole or refused with all that is wrong in it: a price that was half read must never be charged.
//!
//! Its form: a line of column names, then a line per model, cells set apart by tabs; `model`, `input` and `output` are needed,
//! an empty cell says nothing, cells missing at the end of a line are empty, `#` begins a line of comment. Prices are
//! dollars per million tokens.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    money::{NANOS_PER_USD, Nanos},
    price::{Price, Rate},
};

/// The list of `prices/models.tsv`, which says where it comes from.
const BUNDLED: &str = include_str!("../prices/models.tsv");
/// Dollars per million tokens that a price may be at most: far above the dearest. More is a slip of the unit.
const MOST_USD: i64 = 10_000;
/// Tokens of the longest prompt that a price may begin to hold at, or that a model reads.
const LONGEST_PROMPT: u64 = 1_000_000_000;

/// Every column that there is, as an operator's `[[price]]` calls them.
const COLUMNS: [&str; 20] = [
    "model",
    "provider",
    "context",
    "max_output",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "long_above",
    "long_input",
    "long_output",
    "long_cache_read",
    "long_cache_write",
    "long_cache_write_1h",
];
const NEEDED: [&str; 3] = ["model", "input", "output"];

/// Prices by the names that callers use.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    models: BTreeMap<String, Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whose list it is; empty where the table does not say.
    pub provider: String,
    pub sizes: Sizes,
    pub price: Arc<Price>,
}

impl Listed {
    /// Whether it answers in tokens. A model that embeds or moderates is asked nothing for what it writes, and has no most of it;
    /// one that writes for nothing has.
    pub fn writes(&self) -> bool {
        self.price.base.output > 0 || self.sizes.max_output.is_some()
    }
}

/// How much a model takes and gives; an absent part is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Tokens that it reads.
    pub context: Option<u64>,
    /// Tokens that it writes at most.
    pub max_output: Option<u64>,
}

/// Something in a table that cannot be taken for a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    pub column: String,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}", self.line, self.column, self.reason)
    }
}

impl PriceList {
    /// The list that Sluice is built with, read at its first use. A test holds that it can be.
    pub fn bundled() -> &'static PriceList {
        static LIST: OnceLock<PriceList> = OnceLock::new();
        LIST.get_or_init(|| PriceList::parse(BUNDLED).unwrap_or_default())
    }

    /// Reads a table, or tells everything that is wrong in it.
    pub fn parse(text: &str) -> Result<PriceList, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut models = BTreeMap::new();
        let written = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.starts_with('#');
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(written);
        let (at, head) = lines.next().unwrap_or((1, ""));
        let columns = columns(at, head, &mut problems);
        for (at, line) in lines {
            let row = Row { at, columns: &columns, cells: line.split('\t').collect() };
            let (model, listed) = row.read(&mut problems);
            match models.entry(model) {
                Entry::Vacant(place) => {
                    place.insert(listed);
                }
                Entry::Occupied(first) if first.key().is_empty() => {}
                Entry::Occupied(first) => {
                    problems.push(row.problem("model", format!("{:?} has a price above", first.key())));
                }
            }
        }
        if problems.is_empty() { Ok(PriceList { models }) } else { Err(problems) }
    }

    /// What a model costs. A fine-tuned one, `ft:BASE:…`, costs what is listed for `ft:BASE`.
    pub fn price(&self, model: &str) -> Option<&Arc<Price>> {
        Some(&self.listed(model)?.price)
    }

    /// All that is listed of a model.
    pub fn listed(&self, model: &str) -> Option<&Listed> {
        self.models.get(model).or_else(|| self.models.get(tuned_from(model)?))
    }

    /// Every model with its price, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Listed)> {
        self.models.iter().map(|(model, listed)| (model.as_str(), listed))
    }
}

fn tuned_from(model: &str) -> Option<&str> {
    let base = model.strip_prefix("ft:")?.find(':')?;
    model.get(.."ft:".len() + base)
}

fn columns<'t>(line: usize, head: &'t str, problems: &mut Vec<Problem>) -> Vec<&'t str> {
    let columns: Vec<&str> = head.split('\t').collect();
    let mut tell = |column: &str, reason: &str| {
        problems.push(Problem { line, column: column.to_owned(), reason: reason.to_owned() });
    };
    for (at, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(column) {
            tell(column, "no such column");
        } else if columns.iter().take(at).any(|before| before == column) {
            tell(column, "a column that is there twice");
        }
    }
    for needed in NEEDED.iter().filter(|needed| !columns.contains(needed)) {
        tell(needed, "a column that is needed and missing");
    }
    columns
}

struct Row<'t> {
    at: usize,
    columns: &'t [&'t str],
    cells: Vec<&'t str>,
}

impl Row<'_> {
    fn problem(&self, column: &str, reason: String) -> Problem {
        Problem { line: self.at, column: column.to_owned(), reason }
    }

    /// What a cell says; an empty one says nothing.
    fn cell(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| *name == column)?;
        self.cells.get(at).copied().filter(|cell| !cell.is_empty())
    }

    /// A model and its price. What cannot be read is told in `problems`, and then nobody gets the rest.
    fn read(&self, problems: &mut Vec<Problem>) -> (String, Listed) {
        if self.cells.len() > self.columns.len() {
            let reason = format!("{} cells under {} columns", self.cells.len(), self.columns.len());
            problems.push(self.problem("model", reason));
        }
        for needed in NEEDED.iter().filter(|needed| self.columns.contains(needed)) {
            if self.cell(needed).is_none() {
                problems.push(self.problem(needed, "nothing, where something is needed".to_owned()));
            }
        }
        let model = self.cell("model").unwrap_or_default();
        if model.chars().any(|c| c.is_whitespace() || c.is_control()) {
            problems.push(self.problem("model", format!("{model:?} is no name that a caller can use")));
        }
        let above = self.tokens("long_above", problems);
        let [context, max_output] = ["context", "max_output"].map(|column| self.tokens(column, problems));
        let (price, together) = Price::named(above, |column| self.rate(column, problems));
        if !together && self.cell("long_above").is_none() {
            let reason = "nothing, beside a price for long prompts".to_owned();
            problems.push(self.problem("long_above", reason));
        }
        let provider = self.cell("provider").unwrap_or_default().to_owned();
        (model.to_owned(), Listed { provider, sizes: Sizes { context, max_output }, price: Arc::new(price) })
    }

    fn tokens(&self, column: &str, problems: &mut Vec<Problem>) -> Option<u64> {
        let text = self.cell(column)?;
        match text.parse() {
            Ok(tokens @ 1..=LONGEST_PROMPT) => Some(tokens),
            _ => {
                let reason = format!("{text:?} is no number of tokens from 1 to {LONGEST_PROMPT}");
                problems.push(self.problem(column, reason));
                None
            }
        }
    }

    /// Dollars per million tokens as nanodollars per million.
    fn rate(&self, column: &str, problems: &mut Vec<Problem>) -> Option<Rate> {
        let text = self.cell(column)?;
        let reason = match Nanos::from_usd(text) {
            Ok(Nanos(nanos @ 0..)) if nanos <= MOST_USD * NANOS_PER_USD => return Rate::try_from(nanos).ok(),
            Ok(Nanos(0..)) => format!("{text:?} is beyond {MOST_USD} dollars per million tokens"),
            Ok(_) => format!("{text:?} is negative"),
            Err(error) => format!("{text:?} is {error}"),
        };
        problems.push(self.problem(column, reason));
        None
    }
}
