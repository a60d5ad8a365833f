//! The crate against the library, over the quickstart's model and adapters.

mod adapters;
mod callbacks;
mod common;
mod cuda;
mod files;
mod host_models;
mod hub;
mod layers;
mod logging;
mod merging;
mod sessions;
mod tensors;
mod threads;
