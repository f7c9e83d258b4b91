//! What a request is asked of, and where it comes from.
//!
//! In: from the edge, beside the request. Out: to whoever answers it: the app, and the database on a thread that may wait.

use std::{net::IpAddr, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;
use store::{Database, change::ChangeError};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tracing::error;
use uuid::Uuid;

use super::problem::{Code, Problem};
use crate::app::App;

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
}

impl Asked {
    pub fn new(app: &Arc<App>, address: Option<IpAddr>, local: bool) -> Asked {
        Asked { app: app.clone(), address, local, request_id: app.new_request_id() }
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
        // Together, so that no answer that was given up leaves a change without force.
        self.waiting(move |app| {
            let done = work(&app.database)?;
            in_force(app);
            Ok::<T, E>(done)
        })
        .await
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
            ChangeError::Taken { field } => {
                Problem::new(Code::Taken, "Another one has this already.").field(field, "is taken")
            }
            ChangeError::Conflict(why) => Problem::new(Code::Conflict, why),
            ChangeError::Refused { field, reason } => Problem::bad(field, reason),
            ChangeError::Forbidden(why) => Problem::new(Code::NotAllowed, why),
            ChangeError::ReadOnly => {
                let detail =
                    "This is kept in the configuration file, which is changed there and read again at once.";
                Problem::new(Code::ReadOnly, detail)
            }
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
        error!(%error, "a change is in the database and not in force: it will be with the next one");
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked, Problem> {
        parts.extensions.get::<Asked>().cloned().ok_or_else(Problem::internal)
    }
}
