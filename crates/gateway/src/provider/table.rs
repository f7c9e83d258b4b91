//! To be written.
use super::Provider;
pub(super) static PROVIDERS: &[Provider] = &[];
