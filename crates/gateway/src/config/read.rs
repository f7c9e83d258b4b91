//! From the text of the file to a [`Config`], collecting every problem on the way.
//!
//! In: text and an [`Environment`]. Out: a checked [`Config`], or all problems by line. A value that could not be read
//! is replaced by its default so that reading goes on; such a config is never handed out.

use std::{collections::HashMap, net::SocketAddr};
use store::keys::OnLoss;

use toml::de::DeTable;

use super::{
    ChannelConfig, Config, KeyConfig, StoreConfig, Timeouts, alias,
    channel::{self, models},
    fields::{Field, Fields, quoted},
    known, limits, money,
    report::{Problem, Report},
    sections, sign_in,
};

/// Where the server listens when the file does not say.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// How `env:NAME` is looked up.
pub trait Environment {
    fn get(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Any closure will do: `|name| variables.get(name).cloned()`.
impl<F: Fn(&str) -> Option<String>> Environment for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// Parses and checks the whole file.
pub fn parse(text: &str, environment: &dyn Environment) -> Result<Config, Vec<Problem>> {
    let mut report = Report::new(text, environment);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be saved of a broken file would only add problems that are none.
        for error in errors {
            let line = report.line(&error.span().unwrap_or_default());
            report.problem(line, "", error.message().trim().replace('\n', "; "));
        }
        return Err(report.into_problems());
    }
    let config = read(&mut report, document.get_ref());
    if report.is_clean() { Ok(config) } else { Err(report.into_problems()) }
}

/// Where the books are, and nothing else: no secret is looked up, and what else is wrong does not count.
pub fn parse_store(text: &str) -> Result<StoreConfig, Vec<Problem>> {
    let nobody = |_: &str| None;
    let mut report = Report::new(text, &nobody);
    let document = DeTable::parse(text).map_err(|error| {
        let line = report.line(&error.span().unwrap_or_default());
        report.problem(line, "", error.message().trim().replace('\n', "; "));
        std::mem::replace(&mut report, Report::new(text, &nobody)).into_problems()
    })?;
    let top = Fields::open(&mut Report::new(text, &nobody), document.get_ref(), String::new(), 1, known::TOP);
    let (store, _) = money::store(&mut report, &top);
    if report.is_clean() { Ok(store) } else { Err(report.into_problems()) }
}

/// Reads the one channel of a text that is not the file: from a document, without an environment.
pub(super) fn parse_block(text: &str, timeouts: &Timeouts) -> Result<ChannelConfig, Vec<Problem>> {
    let nothing = |_: &str| None;
    let mut report = Report::new(text, &nothing);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.problem(0, "", error.message().trim().to_owned());
    }
    let top = Fields::open(&mut report, document.get_ref(), String::new(), 1, known::TOP);
    let channel = channel::channels(&mut report, &top, timeouts).pop();
    match channel {
        Some(channel) if report.is_clean() => Ok(channel),
        _ => Err(report.into_problems()),
    }
}

fn read(report: &mut Report<'_>, document: &DeTable<'_>) -> Config {
    let top = Fields::open(report, document, String::new(), 1, known::TOP);
    let timeouts = sections::timeouts(report, top.get(report, "timeouts"), &Default::default());
    let (store, lost) = money::store(report, &top);
    let admin = sign_in::admin(report, &top);
    let mail = sign_in::mail(report, &top, &admin);
    Config {
        listen: listen(report, &top),
        store,
        lost,
        prices: money::prices(report, &top),
        keys: keys(report, &top),
        channels: channel::channels(report, &top, &timeouts),
        aliases: alias::aliases(report, &top),
        timeouts,
        attempts: sections::attempts(report, &top),
        bounds: sections::bounds(report, &top),
        limits: limits::limits(report, &top),
        proxies: limits::proxies(report, &top),
        shutdown: sections::shutdown(report, &top),
        flow: sections::flow(report, &top),
        monitor: sections::monitor(report, &top),
        cors: sections::cors(report, &top),
        sign_up: sign_in::sign_up(report, &top, mail.as_ref()),
        oidc: sign_in::oidc(report, &top, &admin),
        admin,
        mail,
        retention: sections::retention(report, &top),
    }
}

fn listen(report: &mut Report<'_>, top: &Fields<'_>) -> SocketAddr {
    let Some(field) = top.get(report, "listen") else { return DEFAULT_LISTEN };
    let expected = "an IP address and a port such as \"127.0.0.1:3000\", \"0.0.0.0:3000\" or \"[::]:3000\"";
    let Some(text) = field.text(report, expected) else { return DEFAULT_LISTEN };
    text.parse().unwrap_or_else(|_| {
        field.wrong(report, expected);
        DEFAULT_LISTEN
    })
}

fn keys(report: &mut Report<'_>, top: &Fields<'_>) -> Vec<KeyConfig> {
    let mut names = Names::default();
    let mut secrets: HashMap<String, String> = HashMap::new();
    let mut keys = Vec::new();
    for entry in blocks(report, top, "key") {
        let Some(fields) = entry.fields(report, "a [[key]] block", known::KEY) else { continue };
        let name = names.read(report, &fields);
        let field = fields.require(report, "secret", "the secret that callers send, or \"env:NAME\"");
        let secret = field.as_ref().and_then(|field| field.secret(report));
        if let (Some(field), Some(secret)) = (&field, &secret) {
            // Callers may send it with or without the prefix, so these two would be one key.
            let bare = secret.reveal().strip_prefix("sk-").unwrap_or(secret.reveal());
            match secrets.get(bare) {
                Some(first) => {
                    let message = format!(
                        "found the same secret as in {first} (with or without sk-), expected one of its own"
                    );
                    field.problem(report, message);
                }
                None => {
                    secrets.insert(bare.to_owned(), entry.path.clone());
                }
            }
        }
        let models = models(report, fields.get(report, "models"));
        let caps = limits::caps(report, &fields);
        let expires_ms = limits::expires(report, fields.get(report, "expires"));
        let networks = limits::networks(report, fields.get(report, "networks"));
        let limit = fields.get(report, "spend_limit");
        let spend_limit = limit.and_then(|field| money::amount(report, &field));
        let reset_period = money::reset_period(report, &fields, spend_limit.is_some());
        let strict = fields.get(report, "strict").and_then(|field| field.flag(report)).unwrap_or_default();
        let losses = fields.get(report, "losses");
        let words = OnLoss::ALL.map(|on_loss| (on_loss.name(), on_loss));
        let losses = losses.and_then(|field| field.one_of(report, &words)).unwrap_or_default();
        if let (Some(name), Some(secret)) = (name, secret) {
            keys.push(KeyConfig {
                name,
                secret,
                models,
                caps,
                expires_ms,
                networks,
                spend_limit,
                reset_period,
                strict,
                losses,
            });
        }
    }
    keys
}

/// The `[[name]]` blocks of the file.
pub(super) fn blocks<'t>(report: &mut Report<'_>, top: &Fields<'t>, name: &str) -> Vec<Field<'t>> {
    let Some(field) = top.get(report, name) else { return Vec::new() };
    field.list(report, &format!("blocks that start with [[{name}]], two brackets each")).unwrap_or_default()
}

/// Names given so far, with the key of the block that has each.
#[derive(Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Longer names do not fit into a line of the log.
    const MOST_CHARS: usize = 100;

    /// The `name` of a block: needed, and its own.
    pub(super) fn read(&mut self, report: &mut Report<'_>, fields: &Fields<'_>) -> Option<String> {
        let expected = "a name for logs and metrics";
        let field = fields.require(report, "name", expected)?;
        let name = field.text(report, expected)?;
        if name.trim().is_empty()
            || name.chars().count() > Self::MOST_CHARS
            || name.chars().any(char::is_control)
        {
            field.wrong(report, "a name of 1 to 100 printable characters");
            return None;
        }
        if let Some(first) = self.0.get(name) {
            field.problem(
                report,
                format!("found {}, which is also {first}, expected a name of its own", quoted(name)),
            );
            return None;
        }
        self.0.insert(name.to_owned(), field.path.clone());
        Some(name.to_owned())
    }
}
