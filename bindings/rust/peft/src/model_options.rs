//! How a base model is opened.

use std::ops::ControlFlow;

use peft_sys as sys;
use sys::peft_model_options_t as Raw;

use crate::constants::{ReadMode, Task, WeightFormat};
use crate::error::Result;
use crate::file::{with_files, File};
use crate::handle::{default_struct, setters, text_setters};
use crate::hub::{hub_setters, Download, HubClosures, HubFields};
use crate::text::TextPool;
use crate::thread_pool::{raw_pool, ThreadPool};
use crate::transport::{Answer, Exchange, Request, Transport};

/// How a base model is opened.
///
/// ```
/// use peft::{Model, ModelOptions, ReadMode};
///
/// let mut options =
///     ModelOptions::new().read_mode(ReadMode::Read).num_threads(2);
/// # let base = "../../../examples/quickstart/base";
/// let model = Model::open_with(base, &mut options)?;
/// # Ok::<(), peft::Error>(())
/// ```
#[derive(Debug)]
pub struct ModelOptions<'a> {
    raw: Raw,
    texts: TextPool,
    closures: HubClosures<'a>,
    /// At most one, where `raw` points to.
    thread_pool: Vec<sys::peft_thread_pool_t>,
    /// The same.
    pad_token_id: Vec<i64>,
}

impl Default for ModelOptions<'_> {
    fn default() -> Self {
        let raw =
            default_struct!(peft_model_options_t, peft_model_options_init);
        ModelOptions {
            raw,
            texts: TextPool::default(),
            closures: HubClosures::default(),
            thread_pool: Vec::new(),
            pad_token_id: Vec::new(),
        }
    }
}

impl<'a> ModelOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// How weights are read. Default `ReadMode::Map`.
        read_mode: ReadMode,
        /// How many threads a forward uses, the one that calls included; the
        /// model's sessions share them. Default 0: one per core. The numbers
        /// that a forward computes do not depend on it.
        num_threads: i32,
        /// The weights of the linear layers of a model that stores them as
        /// numbers are quantised while it is opened. Adapters act on what the
        /// codes stand for. Default `WeightFormat::AsStored`.
        weight_format: WeightFormat,
        /// With `weight_format` also those of the head, and the embedding that
        /// it is tied to. Default false.
        quantize_head: bool,
        /// The head that the model gets, whatever class config.json names. What
        /// the weight files lack of it is made anew, as transformers makes it,
        /// and logged: it is untrained, until an adapter brings its own.
        /// Default: what the folder says.
        task: Task,
        /// Of a model that classifies: the number of labels. Default: what
        /// config.json says, else, with a `task`, what the head of the first of
        /// `for_adapters` has that has one, else 2.
        num_labels: i64,
    }

    text_setters! {
        /// Of the adapters of `for_adapters`: their revision. Default: main.
        adapter_revision: &str,
        /// Of the adapters of `for_adapters`: the folder below their own.
        adapter_subfolder: &str,
    }

    hub_setters!();

    /// Works for the model and its sessions in place of threads of its own.
    pub fn thread_pool<P: ThreadPool>(mut self, pool: &'static P) -> Self {
        self.thread_pool = vec![raw_pool(pool)];
        self.raw.thread_pool = self.thread_pool.as_ptr();
        self
    }

    /// The processors, as the system numbers them from 0 on, that the model's
    /// own threads run on; with `num_threads` 0 there are as many threads.
    /// Default: all.
    pub fn processors(mut self, processors: &'a [i32]) -> Self {
        self.raw.processors = processors.as_ptr();
        self.raw.num_processors = processors.len();
        self
    }

    /// Of a decoder that classifies sequences: the padding token, by which it
    /// finds the last token of each row. Default: config.json's.
    pub fn pad_token_id(mut self, id: i64) -> Self {
        self.pad_token_id = vec![id];
        self.raw.pad_token_id = self.pad_token_id.as_ptr();
        self
    }

    /// Replicates layers of the base, as PEFT's `layer_replication` does: the
    /// model's layers are those of these ranges, one after another, so that
    /// `[[0, 4], [2, 5]]` makes seven layers of five. What is there several
    /// times shares its weights, and has adapters of its own under the names of
    /// the new layers.
    pub fn layer_replication(mut self, ranges: &'a [[i64; 2]]) -> Self {
        self.raw.layer_replication = ranges.as_ptr().cast();
        self.raw.num_layer_ranges = ranges.len();
        self
    }

    /// Without `layer_replication`: adapters that the model is opened for,
    /// folders or Hub ids. What the `layer_replication` of their configs says
    /// is done.
    pub fn for_adapters(mut self, adapters: &[&str]) -> Self {
        self.raw.for_adapters = self.texts.array(adapters.iter().copied());
        self.raw.num_for_adapters = adapters.len();
        self
    }
}
