//! The incident, replayed: error answers whose bodies were never released piled up until the process died.
//!
//! In: a size and a seed; out: a verdict. 169,000 requests go to upstreams that answer 429, 503, 504 and 529 with bodies
//! that hang, trickle, never end or are reset, with streams that break, large bodies and clients that leave among
//! them, up to 2,000 at once. Afterwards every count has to be back where it was. It must never forgive: a check that
//! could not be made is a check that failed.

pub mod client;
pub mod crowd;
pub mod lines;
pub mod mix;
pub mod reading;
pub mod replay;
pub mod tally;
pub mod verdict;
