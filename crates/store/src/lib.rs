//! All SQL and all money will live here; it knows nothing of HTTP or dialects.
//!
//! Empty for now: Sluice keeps no durable state yet. Settlements are written to the log and the metrics by
//! `gateway::settler`.
