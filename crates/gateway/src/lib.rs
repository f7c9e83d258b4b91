//! The Sluice server: config, pipeline, upstreams, flow.

pub mod config;
pub mod provider;
pub mod secret;
