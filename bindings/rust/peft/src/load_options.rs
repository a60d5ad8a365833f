//! How an adapter is loaded, made and saved.

use std::ops::ControlFlow;

use peft_sys as sys;
use sys::peft_load_options_t as Raw;

use crate::error::Result;
use crate::file::{with_files, File};
use crate::handle::{default_struct, setters, text_setters};
use crate::hub::{hub_setters, Download, HubClosures, HubFields};
use crate::text::TextPool;
use crate::transport::{Answer, Exchange, Request, Transport};

/// How an adapter is loaded.
#[derive(Debug)]
pub struct LoadOptions<'a> {
    raw: Raw,
    texts: TextPool,
    closures: HubClosures<'a>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        LoadOptions {
            raw: default_struct!(peft_load_options_t, peft_load_options_init),
            texts: TextPool::default(),
            closures: HubClosures::default(),
        }
    }
}

impl<'a> LoadOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Missing tensors (they act as zero; for those of saved modules and
        /// trained tokens and biases the base's own stand), unexpected
        /// tensors, unknown config keys and another base than the one that
        /// the file was saved over are lines of the report instead of errors.
        /// Default false: strict.
        lenient: bool,
        /// The adapter is trainable; the limit of
        /// [`set_adapter_limit`](crate::Model::set_adapter_limit) never evicts
        /// it. Default false: it is frozen.
        is_trainable: bool,
        /// Takes a file whose initialisation changed the base by factors that
        /// neither file nor base tell and that was not converted: it acts on
        /// the base as it is. Default false: that is `Unimplemented`.
        allow_unconverted_init: bool,
        /// Of a replacement: the generation that must be there, as
        /// [`AdapterInfo`](crate::AdapterInfo) has it. Default 0: any.
        expected_generation: u64,
        /// Maps the file of the tensors instead of copying it. Truncating it
        /// then kills the process, and writing to it changes the adapter: for
        /// files that are only ever replaced, as those of the Hub's cache.
        /// Default false.
        map_file: bool,
    }

    hub_setters!();
}
