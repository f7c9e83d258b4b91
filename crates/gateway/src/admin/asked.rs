//! What a request is asked of, and where it comes from.
//!
//! In: from the edge, beside the request. Out: to whoever answers it: the app, and the database on a thread that may wait.

use std::{net::IpAddr, sync::Arc};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use store::{Database, change::ChangeError, users::Refused};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tracing::error;
use uuid::Uuid;

use super::problem::{Code, Problem};
use crate::{app::App, networks::client_address};

/// Threads that wait for the database at once: it has one place to write, so more would only stand in line.
static WAITING: Semaphore = Semaphore::const_new(8);

#[derive(Clone, Debug)]
pub struct Asked {
    pub app: Arc<App>,
    /// Who sent it; `None`: this machine's own socket.
    pub address: Option<IpAddr>,
    /// Over the socket beside the database, whose other end may do anything to the file anyway.
    pub local: bool,
    pub request_id: Uuid,
    /// A listed proxy says that it was reached by https.
    pub https: bool,
}

impl Asked {
    pub fn new(app: &Arc<App>, address: Option<IpAddr>, local: bool) -> Asked {
        Asked { app: app.clone(), address, local, request_id: app.new_request_id(), https: false }
    }

    /// What came in over the network. Only a listed proxy is believed what it says about who sent it, and how.
    pub fn by_network(app: &Arc<App>, peer: IpAddr, headers: &HeaderMap) -> Asked {
        let catalog = app.catalog.load();
        let proxies = &catalog.config.proxies.trusted;
        let address = client_address(peer, headers, proxies).unwrap_or(peer);
        let https = proxies.contain(peer.to_canonical())
            && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        Asked { https, ..Asked::new(app, Some(address), false) }
    }

    /// Does something with the database. An error is told without its SQL, and logged.
    pub async fn look<T, E>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<ChangeError> + Send + 'static,
    {
        self.waiting(move |app| work(&app.database)).await
    }

    /// Changes something, and puts it in force on this node before it is answered.
    pub async fn change<T, E>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<ChangeError> + Send + 'static,
    {
        self.change_in(move |app| work(&app.database)).await
    }

    /// The same, for changes that something in memory has to follow.
    pub async fn change_in<T, E>(
        &self,
        work: impl FnOnce(&App) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<ChangeError> + Send + 'static,
    {
        // Together, so that no answer that was given up leaves a change without force.
        self.waiting(move |app| {
            let done = work(app)?;
            in_force(app);
            Ok::<T, E>(done)
        })
        .await
    }

    /// Changes something about who may sign in, and how.
    pub async fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.look(move |books| match work(books) {
            Ok(done) => Ok(Ok(done)),
            Err(Refused::Token) => Ok(Err(Problem::new(
                Code::LinkNotGood,
                "The link was used already, has expired, or never was. Ask for a new one.",
            ))),
            Err(Refused::SetUp) => {
                Ok(Err(Problem::new(Code::Conflict, "Somebody is root already: sign in.")))
            }
            Err(Refused::Change(error)) => Err(error),
        });
        done.await?
    }

    /// People come by https: cookies never travel without.
    pub fn is_secure(&self) -> bool {
        let catalog = self.app.catalog.load();
        let url = catalog.config.admin.public_url.as_ref();
        self.https || url.is_some_and(|url| url.scheme_str() == Some("https"))
    }

    async fn waiting<T, E>(
        &self,
        work: impl FnOnce(&App) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<ChangeError> + Send + 'static,
    {
        let Ok(place) = WAITING.acquire().await else { return Err(Problem::internal()) };
        let app = self.app.clone();
        let done = spawn_blocking(move || {
            let _place = place;
            work(&app)
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.told(error.into())),
            Err(_) => Err(Problem::internal()),
        }
    }

    fn told(&self, error: ChangeError) -> Problem {
        match error {
            ChangeError::Missing => Problem::missing(),
            ChangeError::ReadOnly => {
                Problem::new(Code::ReadOnly, "This comes from the configuration file; change it there.")
            }
            ChangeError::Taken { field } => {
                Problem::new(Code::Taken, "Another one has this already.").field(field, "is taken")
            }
            ChangeError::Conflict(why) => Problem::new(Code::Conflict, why),
            ChangeError::Refused { field, reason } => Problem::bad(field, reason),
            ChangeError::Forbidden(why) => Problem::new(Code::NotAllowed, why),
            ChangeError::Store(error) => {
                error!(request_id = %self.request_id, %error, "the database refused a request to the API");
                Problem::new(Code::Unavailable, "The database does not answer; try again in a moment.")
            }
        }
    }
}

/// Builds the catalog anew. The change is made and stays; that it is not in force yet is told where the operator looks.
fn in_force(app: &App) {
    if let Err(error) = app.refresh() {
        error!(%error, "a change is in the database and not in force: trying again until it is");
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked, Problem> {
        parts.extensions.get::<Asked>().cloned().ok_or_else(Problem::internal)
    }
}
