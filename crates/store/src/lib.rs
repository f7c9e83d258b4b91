//! All SQL and all money: accounts, keys, prices, the ledger, the request log. It knows nothing of HTTP or dialects.
//!
//! Requests are admitted in memory ([`purse`]) and written behind in batches ([`ledger`]); the database file has one owner
//! ([`database`]).

pub mod access_tokens;
pub mod accounts;
pub mod aliases;
pub mod audit;
pub mod change;
pub mod channels;
pub mod codes;
pub mod database;
pub mod directory;
pub mod error;
pub mod groups;
pub mod keys;
pub mod ledger;
pub mod limits;
mod listing;
pub mod money;
pub mod one_time;
pub mod price;
pub mod price_list;
pub mod prices;
pub mod purse;
pub mod ratio;
pub mod report;
pub mod request_log;
pub mod retention;
pub mod sample;
pub mod seal;
pub mod second_factor;
pub mod sessions;
pub mod settings;
pub mod sync;
pub mod usage;
pub mod users;

pub use database::Database;
pub use error::StoreError;
pub use money::{Factor, Nanos};
