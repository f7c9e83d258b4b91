//! What the operator typed, turned into what the program uses.
//!
//! In: the text of one TOML file and the environment. Out: a [`Config`] with durations, addresses and wrapped secrets,
//! or every [`Problem`] of the file at once. It must never start anything, and never print a secret.

mod address;
mod alias;
mod channel;
pub mod document;
mod fields;
mod known;
mod limits;
mod money;
mod quantity;
mod read;
mod report;
mod sections;
mod sign_in;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use dialect::Dialect;
use store::{
    Nanos,
    keys::{OnLoss, ResetPeriod},
    price::Price,
};

use crate::{
    limits::{Caps, Patience},
    networks::Networks,
    provider::Provider,
    secret::Secret,
    suffix::Suffix,
};

pub(crate) use limits::MOST_TOKENS;
pub use read::{Environment, ProcessEnvironment, parse, parse_store};
pub use report::Problem;
pub(crate) use sections::MANY;

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Takes effect at the next start only.
    pub store: StoreConfig,
    /// Takes effect at the next start only.
    pub lost: Lost,
    pub prices: Vec<PriceConfig>,
    pub keys: Vec<KeyConfig>,
    pub channels: Vec<ChannelConfig>,
    pub aliases: Vec<AliasConfig>,
    /// Defaults for channels that name no timeouts of their own.
    pub timeouts: Timeouts,
    pub attempts: Attempts,
    pub bounds: Bounds,
    pub limits: LimitsConfig,
    pub proxies: Proxies,
    pub shutdown: Shutdown,
    pub flow: FlowLimits,
    pub monitor: Monitor,
    pub cors: Cors,
    pub admin: Admin,
    pub sign_up: SignUp,
    pub mail: Option<Mail>,
    pub oidc: Option<Oidc>,
    pub retention: Retention,
}

/// A caller's key.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    pub name: String,
    pub secret: Secret,
    /// Model patterns the key may use (`*` at the end matches any rest); empty: all.
    pub models: Vec<String>,
    /// What it may do at once and in a minute.
    pub caps: Caps,
    /// From then on it is refused, in milliseconds since 1970 (UTC); `None`: never.
    pub expires_ms: Option<i64>,
    /// Where its callers may be; empty: anywhere.
    pub networks: Networks,
    /// What the key may spend in all; `None`: unlimited.
    pub spend_limit: Option<Nanos>,
    /// Its output is limited to what it can pay: it never spends more than it has.
    pub strict: bool,
    /// What becomes of requests that cannot be translated without loss.
    pub losses: OnLoss,
    /// When that begins anew; `None`: never.
    pub reset_period: Option<ResetPeriod>,
}

/// Where the books are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// In this file.
    Sqlite(PathBuf),
    /// Nowhere: they are gone with the process.
    Memory,
}

/// What is charged for a request that ran when the process died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    #[default]
    Free,
    /// What was held for it: the most that it was expected to cost.
    Estimate,
}

/// What becomes of the provider's answer when the client goes away before its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClientLeft {
    /// It is given up; what was delivered is charged.
    #[default]
    Cancel,
    /// It is read on, within bounds, to learn what was used.
    Drain,
}

impl OnClientLeft {
    pub(crate) const WORDS: [(&'static str, OnClientLeft); 2] =
        [("cancel", OnClientLeft::Cancel), ("drain", OnClientLeft::Drain)];

    /// As the file says it.
    pub fn name(self) -> &'static str {
        match self {
            OnClientLeft::Cancel => "cancel",
            OnClientLeft::Drain => "drain",
        }
    }
}

/// What a model costs, by the name that callers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceConfig {
    /// `*` at the end matches any rest.
    pub model: String,
    pub price: Price,
}

/// A name that stands for models, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasConfig {
    pub name: String,
    /// In full, at least one; the alias's own name means the model of that name.
    pub models: Vec<String>,
}

/// An upstream account.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    pub name: String,
    pub provider: &'static Provider,
    /// For `custom` only: the dialect that the base URL speaks.
    pub dialect: Option<Dialect>,
    /// Without a trailing slash. Always present: the operator's, or else the provider's.
    pub base_url: http::Uri,
    /// At least one, unless the provider needs none (ollama, vllm, custom).
    pub secrets: Vec<Secret>,
    /// Model patterns the channel serves, as clients name them (`*` at the end matches any rest).
    pub models: Vec<String>,
    /// Client's model name → the upstream's.
    pub rename: BTreeMap<String, String>,
    /// Higher is tried first. Default 0.
    pub priority: i32,
    /// Share of the traffic within one priority. Default 1, at least 1.
    pub weight: u32,
    pub max_in_flight: Option<u32>,
    /// Set on every request to this channel, over whatever the client sent.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub proxy: Option<Proxy>,
    pub timeouts: Timeouts,
    pub on_client_left: OnClientLeft,
    /// Chats of callers of other dialects are translated to it. Default true.
    pub translate: bool,
    /// Tools that only another dialect's provider runs are left out of what is translated to it, and listed as losses; else the
    /// request is refused. Default false.
    pub drop_server_tools: bool,
    /// What a caller may add to a model's name to say how much it shall think. Default: nothing.
    pub suffixes: Vec<Suffix>,
}

/// Egress proxy of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    /// `http://host:port` of the proxy itself, without user and password.
    pub address: http::Uri,
    /// User and password from the URL, percent-decoded.
    pub credentials: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    Http,
    Socks5,
}

/// Every wait on an upstream has one of these clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP connect and TLS handshake together.
    pub connect: Duration,
    /// From sending a plain request to the first byte of the answer's body.
    pub first_byte: Duration,
    /// From sending a stream request to its first meaningful event.
    pub first_event: Duration,
    /// Between two events of a stream, or two reads of a plain body.
    pub idle: Duration,
    /// The whole request; `None`: no limit while it flows.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(10),
            // Answers of ten minutes are normal for reasoning models.
            first_byte: Duration::from_secs(15 * 60),
            first_event: Duration::from_secs(5 * 60),
            idle: Duration::from_secs(5 * 60),
            total: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Channels tried for one request at most.
    pub max: u32,
    /// No new attempt starts later than this after the request came in.
    pub deadline: Duration,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { max: 3, deadline: Duration::from_secs(5 * 60) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest request body in bytes; more is 413.
    pub body_bytes: usize,
    /// Admitted requests at once.
    pub in_flight: usize,
    /// Requests waiting for admission at once.
    pub queue: usize,
    /// Answers read on at once after their clients have left.
    pub draining: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        // 32 MiB is what Anthropic's edge takes, the largest of the four.
        Bounds { body_bytes: 32 << 20, in_flight: 10_000, queue: 1_000, draining: 256 }
    }
}

/// Limits beyond those of single keys, and what is done where one is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Of all keys of the file together.
    pub caps: Caps,
    /// `None`: who cannot come in at once is refused at once.
    pub patience: Option<Patience>,
}

/// What stands in front of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Who is believed when he says where a request came from.
    pub trusted: Networks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long running requests may go on after SIGTERM.
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        // Most streams are done in two minutes; longer holds up a deploy for the few.
        Shutdown { drain: Duration::from_secs(120) }
    }
}

/// The watch on live tasks and requests in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// Crossing it is logged as a warning.
    pub warn: usize,
    /// Crossing it is logged as an error; always above `warn`.
    pub alarm: usize,
}

impl Default for FlowLimits {
    fn default() -> FlowLimits {
        FlowLimits { warn: 2_000, alarm: 5_000 }
    }
}

/// `GET /metrics` and `GET /api/monitor/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    /// Needed from everywhere but loopback; `None`: only loopback may read.
    pub token: Option<Secret>,
}

/// How long things are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Requests in the log; `None`: for ever.
    pub requests: Option<Duration>,
}

/// Browser clients of the doors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins in lower case, `scheme://host[:port]`; `*` allows any; empty: no CORS answers at all.
    pub origins: Vec<String>,
}

/// How people sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where people reach this gateway; links begin with it. Without a trailing slash.
    pub public_url: Option<http::Uri>,
    /// A session that is not used for so long is over.
    pub session_idle: Duration,
    /// A session is over after this, however it is used.
    pub session_total: Duration,
}

impl Default for Admin {
    fn default() -> Admin {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        Admin { public_url: None, session_idle: hours(24), session_total: hours(30 * 24) }
    }
}

/// Who may make himself a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignUp {
    pub mode: SignUpMode,
    /// Domains of mail that may sign up when it is open, in lower case; empty: any.
    pub domains: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUpMode {
    /// Nobody.
    #[default]
    Off,
    /// Whom an admin invited.
    Invitation,
    /// Whoever reads the address that he names.
    Open,
}

/// The server that takes letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub from: lettre::message::Mailbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    StartTls,
    Tls,
    /// Only to a server on this machine.
    None,
}

/// A provider of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// As its tokens name it.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// Whom it knows and we do not becomes a user.
    pub create_users: bool,
}
