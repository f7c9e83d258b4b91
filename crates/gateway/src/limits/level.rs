//! What is told of limits: how much is left, and what was too much.

/// Whose limit it is; also the order in which they are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Whose {
    Key,
    User,
    Group,
}

impl Whose {
    pub const ALL: [Whose; 3] = [Whose::Key, Whose::User, Whose::Group];
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// In flight at once.
    InFlight,
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
}

/// Where one limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub limit: u64,
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset_ms: u64,
}

/// Where a caller stands, by the tightest of his limits of each kind; `None`: there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub requests: Option<Level>,
    pub tokens: Option<Level>,
}

impl Levels {
    pub(super) fn narrow(&mut self, other: Levels) {
        let tighter = |mine: Option<Level>, other: Option<Level>| match (mine, other) {
            (Some(mine), Some(other)) if other.remaining < mine.remaining => Some(other),
            (mine, other) => mine.or(other),
        };
        self.requests = tighter(self.requests, other.requests);
        self.tokens = tighter(self.tokens, other.tokens);
    }
}

/// A request that could not come in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    pub whose: Whose,
    pub what: What,
    pub limit: u64,
    pub retry_after_ms: u64,
    pub levels: Levels,
}
