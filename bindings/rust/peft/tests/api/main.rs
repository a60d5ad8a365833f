//! The crate against the library, over the quickstart's model and adapters.

mod adapters;
mod callbacks;
mod common;
mod host_models;
mod hub;
mod logging;
mod merging;
mod sessions;
mod tensors;
mod threads;
