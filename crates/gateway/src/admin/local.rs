//! The socket beside the database file: how commands reach the process that owns it.
//!
//! In: connections of this machine's root, or of the user whose process this is. Out: answers of the API, with the rights of the
//! operator. Whoever can open it could open the database file too; nobody else may.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{Duration, sleep},
};
use tracing::warn;

use super::asked::Asked;
use crate::app::App;

/// Connections at once: a few commands.
const CONNECTIONS: usize = 32;
/// A head must be there this long after the connection: commands do not think.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Wait after an accept error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where the socket of a database is.
pub fn path(database: &Path) -> PathBuf {
    let mut beside = database.as_os_str().to_owned();
    beside.push(".sock");
    PathBuf::from(beside)
}

/// Serves until it is dropped; the socket goes with it.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Local {
    /// Only for the owner of the database: what lies at the path is a dead owner's.
    pub fn open(app: Arc<App>, database: &Path) -> io::Result<Local> {
        let path = path(database);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Local { path, serving: tokio::spawn(run(app, listener)) })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn run(app: Arc<App>, listener: UnixListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            // The mode says the same, but for the moment between the making of the socket and its mode.
            Ok((stream, _)) if trusted(&stream) => {
                let app = app.clone();
                tokio::spawn(async move {
                    serve(app, stream).await;
                    drop(place);
                });
            }
            Ok(_) => warn!("somebody else tried the socket beside the database"),
            Err(error) => {
                warn!(%error, "cannot accept on the socket beside the database; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

async fn serve(app: Arc<App>, stream: UnixStream) {
    let service = service_fn(|request: Request<Incoming>| {
        let asked = Asked::new(&app, None, true);
        super::answer(asked, request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    // An error is the command's connection breaking: it knows.
    let _ = serving.await;
}

/// A request from inside this process, with the same rights.
pub async fn ask(app: &Arc<App>, request: Request<Bytes>) -> hyper::Response<Bytes> {
    super::respond(Asked::new(app, None, true), request).await
}
