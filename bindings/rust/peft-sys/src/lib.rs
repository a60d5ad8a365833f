//! Raw declarations of `peft_c.h`: what is declared here means what it means
//! there. The crate `peft` is the safe layer over them.
//!
//! `src/bindings.rs` is made by `generate.sh`; a test compares it with the
//! header.
#![allow(non_camel_case_types)]
#![allow(missing_docs, missing_debug_implementations)]

mod bindings;

pub use bindings::*;
