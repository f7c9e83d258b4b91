//! `sluice`: the command line.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use gateway::{
    admin, books, clock::unix_ms, command, config::StoreConfig, demo, listener, reload, requests,
    selection::Selection, server::Server, sign_in,
};
use lexopt::prelude::{Long, Short, Value, ValueExt};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "\
Sluice, an LLM API gateway: everything that comes in goes out.

Usage:
  sluice serve --config FILE    serve what FILE describes
  sluice check --config FILE    check FILE and say everything that is wrong with it
  sluice books --config FILE [--json]
                                what is spent and held, and whether the books balance (exit status 1: they do not)
  sluice requests --config FILE [--json] [--limit N] [--WORD TEXT]...
                                the requests, the latest N of them, as one line each; of those only with
                                  --since, --until (2026-01-31, 24h), --user, --key, --model, --channel NAME,
                                  --ending errors|cut,…, --status 429|4xx, --stream, --estimated, --unpriced,
                                  --retried yes|no, --slower-than 10s, --dearer-than USD, --id, --upstream-id ID
  sluice openapi                the description of the API under /api/v1, as docs/openapi.json has it
  sluice demo [--listen ADDR]   try it with a built-in fake provider (default 127.0.0.1:3000)
  sluice --version

Managing, each with --config FILE and, if wished, --json (through the process that owns the database while one runs):
@VERBS@
See sluice.example.toml for every key of FILE. SIGHUP, or a change of FILE, puts it in force while serving;
SIGTERM stops after running requests have ended; a second one stops at once.
";

enum Command {
    Serve(PathBuf),
    Check(PathBuf),
    Books { config: PathBuf, json: bool },
    Requests { config: PathBuf, json: bool, limit: Option<u32>, selection: Box<Selection> },
    Demo(SocketAddr),
    OpenApi,
    Manage { config: PathBuf, typed: command::Typed },
    Help,
    Version,
}

fn main() -> ExitCode {
    let command = match parse_arguments() {
        Ok(command) => command,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("sluice: {error}\n\n{}", usage()));
            return ExitCode::from(2);
        }
    };
    match command {
        Command::Help => say(&mut std::io::stdout(), &usage()),
        Command::Manage { config, typed } => return manage(&config, &typed),
        Command::OpenApi => say(&mut std::io::stdout(), &admin::document()),
        Command::Version => say(&mut std::io::stdout(), concat!("sluice ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Check(path) => return check(&path),
        Command::Books { config, json } => {
            return read_books(&config, |file, out| books::books(file, json, out));
        }
        Command::Requests { config, json, limit, selection } => {
            return read_books(&config, |file, out| {
                let note =
                    requests::requests(file, json, limit.map(|limit| limit as usize), *selection, out)?;
                note.inspect(|note| say(&mut std::io::stderr(), &format!("{note}\n")));
                Ok(true)
            });
        }
        Command::Serve(path) => return run(Some(path), None),
        Command::Demo(address) => return run(None, Some(address)),
    }
    ExitCode::SUCCESS
}

fn usage() -> String {
    USAGE.replace("@VERBS@", command::VERBS)
}

/// Does something to users, keys, channels and so on.
fn manage(config: &Path, typed: &command::Typed) -> ExitCode {
    match command::run(config, typed, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Prints; a closed pipe is nobody's error.
fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

fn parse_arguments() -> Result<Command, lexopt::Error> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut config, mut listen, mut from) = (Vec::new(), None, None, None);
    let (mut json, mut limit, mut selection) = (false, None, Selection::default());
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Short('c') | Long("config") => config = Some(PathBuf::from(arguments.value()?)),
            Long("json") => json = true,
            Long("limit") => limit = Some(arguments.value()?.parse()?),
            Long(word) if wanted_word(word).is_some() => {
                let word = wanted_word(word).unwrap_or_default();
                let text = arguments.value()?.string()?;
                let wrong = |why| lexopt::Error::from(format!("--{}: {why}", word.replace('_', "-")));
                selection.set(word, &text, unix_ms()).map_err(wrong)?;
            }
            Long("listen") => listen = Some(arguments.value()?.parse::<SocketAddr>()?),
            Long("from") => from = Some(PathBuf::from(arguments.value()?)),
            Value(value) => words.push(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let config = || config.ok_or_else(|| lexopt::Error::from("--config FILE is missing"));
    let name = words.first().cloned();
    if name.as_deref().is_some_and(command::is_object) {
        let typed = command::Typed { words, json, limit, from };
        return Ok(Command::Manage { config: config()?, typed });
    }
    if let Some(word) = words.get(1) {
        return Err(format!("`{word}` is one word too many").into());
    }
    match name.as_deref() {
        Some("serve") => Ok(Command::Serve(config()?)),
        Some("check") => Ok(Command::Check(config()?)),
        Some("books") => Ok(Command::Books { config: config()?, json }),
        Some("requests") => {
            Ok(Command::Requests { config: config()?, json, limit, selection: Box::new(selection) })
        }
        Some("demo") => Ok(Command::Demo(listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3000))))),
        Some("openapi") => Ok(Command::OpenApi),
        Some("help") | None => Ok(Command::Help),
        Some(other) => Err(format!("there is no command `{other}`").into()),
    }
}

/// What is wanted of the requests, by the name of an option.
fn wanted_word(option: &str) -> Option<&'static str> {
    let word = option.replace('-', "_");
    Selection::WORDS.into_iter().find(|known| *known == word)
}

fn check(path: &std::path::Path) -> ExitCode {
    match reload::load(path) {
        Ok((_, config)) => {
            let (keys, channels) = (config.keys.len(), config.channels.len());
            say(
                &mut std::io::stdout(),
                &format!("{}: good: {keys} keys, {channels} channels\n", path.display()),
            );
            ExitCode::SUCCESS
        }
        Err(problems) => {
            say(&mut std::io::stderr(), &format!("{problems}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Reads the books that a configuration names.
fn read_books(config: &Path, read: impl FnOnce(&Path, &mut dyn Write) -> Result<bool, String>) -> ExitCode {
    let done = reload::load_store(config).and_then(|store| match store {
        StoreConfig::Sqlite(file) => read(&file, &mut std::io::stdout().lock()),
        StoreConfig::Memory => Err("store.url is \"memory\": there are no books on disk".to_owned()),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// A core alone needs no scheduler that moves work between threads: it would cost some percent of each request.
fn runtime() -> tokio::runtime::Builder {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
}

fn run(config: Option<PathBuf>, demo: Option<SocketAddr>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .init();
    raise_file_limit();
    use_small_pages();
    let runtime = match runtime().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        // Before anybody is served: a signal that comes early must not end the process where it stands.
        let stops = Stops::listen().map_err(no_signals)?;
        match (config, demo) {
            (Some(path), _) => serve(path, stops).await,
            (None, Some(address)) => serve_demo(address, stops).await,
            (None, None) => Ok(()),
        }
    });
    // Nothing is left to wait for but a look-up of a name or a stalled write.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Two sockets a stream: the soft limit that shells set is soon reached, and the hard one is the operator's word.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        warn!(%error, "the limit of open files cannot be raised");
    }
}

/// A held stream needs a few pages here and there, and huge pages would round each of them up.
fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        warn!(%error, "huge pages cannot be turned off: more memory is used");
    }
}

async fn serve(path: PathBuf, stops: Stops) -> Result<(), String> {
    let hangups = signal(SignalKind::hangup()).map_err(no_signals)?;
    let (text, config) = reload::load(&path)?;
    let address = config.listen;
    let server = start(config, address)?;
    if server.app.catalog.load().serves_nobody() {
        warn!(
            "nobody can be served yet: add a key and a channel, in the file or by `sluice key add` and `sluice channel add`"
        );
    }
    info!(address = %server.address, "listening");
    say(&mut std::io::stderr(), &first_words(&server));
    let watching = tokio::spawn(reload::watch(server.app.clone(), path, text, hangups));
    until_signalled(server, stops).await?;
    watching.abort();
    Ok(())
}

async fn serve_demo(address: SocketAddr, stops: Stops) -> Result<(), String> {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    // A pace at which one can watch the words come.
    let pace = "words,every=40".parse().map_err(|error| format!("the demo's own pace: {error:?}"))?;
    let provider =
        upstream_sim::Sim::bind_with(here, pace).await.map_err(|error| format!("demo provider: {error}"))?;
    let server = start(demo::config(address, &provider.url()), address)?;
    say(&mut std::io::stdout(), &demo::snippets(server.address));
    say(&mut std::io::stdout(), &first_words(&server));
    until_signalled(server, stops).await
}

fn start(config: gateway::config::Config, address: SocketAddr) -> Result<Server, String> {
    let listener = listener::bind(address).map_err(|error| {
        format!(
            "cannot listen on {address}: {error}. Is another program there? Set `listen` to a free address."
        )
    })?;
    Server::start(config, listener, Box::new(std::io::stdout())).map_err(|error| error.to_string())
}

/// The setup link, while nobody is root. It is no line of the log: logs are kept and sent on.
fn first_words(server: &Server) -> String {
    let url = sign_in::reachable_at(&server.app.catalog.load().config, server.address);
    server.setup_token.as_ref().map(|token| admin::setup::words(&url, token.reveal())).unwrap_or_default()
}

/// Serves until SIGTERM or SIGINT, then stops in order; a second signal stops at once.
async fn until_signalled(server: Server, mut stops: Stops) -> Result<(), String> {
    stops.next().await;
    tokio::select! {
        stopped = server.stop() => stopped.map_err(|lost| lost.to_string()),
        () = stops.next() => Err("stopped at once by a second signal".to_owned()),
    }
}

fn no_signals(error: std::io::Error) -> String {
    format!("cannot listen for signals: {error}")
}

struct Stops {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stops {
    fn listen() -> std::io::Result<Stops> {
        Ok(Stops { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
