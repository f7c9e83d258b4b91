//! Lists of what is managed by hand: newest first, page by page, with how many there are in all.
//!
//! In: what a list is of, the values of its filter, and where the last page ended. Out: the next rows. A page begins behind an
//! id, so that nothing is skipped or told twice while rows come and go.

use rusqlite::{Row, ToSql};

use crate::{database::Database, error::StoreError};

/// What a list is of, in SQL.
pub(crate) struct Listing {
    /// Columns, tables and joins.
    pub(crate) select: &'static str,
    /// The table that the ids are of, and that alone is counted.
    pub(crate) table: &'static str,
    pub(crate) id: &'static str,
    /// A condition on that table, with the filter's values from `?1` on.
    pub(crate) filter: &'static str,
}

impl Listing {
    /// Those before `after`, and how many the filter lets through in all.
    pub(crate) fn page<T>(
        &self,
        database: &Database,
        of: &[&dyn ToSql],
        after: Option<i64>,
        limit: u32,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<(Vec<T>, u32), StoreError> {
        let Listing { select, table, id, filter } = self;
        let (behind, most) = (of.len() + 1, of.len() + 2);
        database.read(|connection| {
            let count = format!("SELECT count(*) FROM {table} WHERE {filter}");
            let total = connection.query_row(&count, of, |row| row.get(0))?;
            let mut statement = connection.prepare(&format!(
                "{select} WHERE {filter} AND (?{behind} IS NULL OR {id} < ?{behind}) ORDER BY {id} DESC LIMIT ?{most}"
            ))?;
            let of = [of, &[&after as &dyn ToSql, &limit]].concat();
            let rows = statement.query_map(&*of, read)?;
            Ok((rows.collect::<Result<_, _>>()?, total))
        })
    }
}
