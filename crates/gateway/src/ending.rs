//! How a request can end: one list for code, log, metrics and API.

/// The one way a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// The whole answer was there: the tap saw the dialect's end, or the plain body was read to its end.
    Completed,
    /// The caller's own fault: a bad request, key or model.
    Refused,
    /// Limits, shedding, shutdown: Sluice would not take it now.
    Rejected,
    /// Nothing was delivered.
    Failed,
    /// Delivered in part, then the upstream broke off.
    Cut,
    /// One of the clocks ran out.
    TimedOut,
    /// The caller went away first.
    ClientLeft,
    /// Sluice was stopped and the drain limit passed.
    Shutdown,
    /// A crash. Never given by a running process: found again at the next start, once there is a store.
    Lost,
}

impl Ending {
    pub const ALL: [Ending; 9] = [
        Ending::Completed,
        Ending::Refused,
        Ending::Rejected,
        Ending::Failed,
        Ending::Cut,
        Ending::TimedOut,
        Ending::ClientLeft,
        Ending::Shutdown,
        Ending::Lost,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Refused => "refused",
            Ending::Rejected => "rejected",
            Ending::Failed => "failed",
            Ending::Cut => "cut",
            Ending::TimedOut => "timed_out",
            Ending::ClientLeft => "client_left",
            Ending::Shutdown => "shutdown",
            Ending::Lost => "lost",
        }
    }
}
