//! How tokens are generated, and which.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::slice;

use peft_sys as sys;

use crate::activation::Activation;
use crate::callback::{watch, PairWatcher};
use crate::constants::FinishReason;
use crate::error::Result;
use crate::handle::{default_struct, handle, setters};
use crate::rows::{row_setters, RowFields, Rows};

/// How tokens are generated; names and meanings as in transformers'
/// `GenerationConfig`.
///
/// ```
/// use std::ops::ControlFlow;
/// use peft::{ForwardInput, GenerateOptions, Model};
///
/// # let base = "../../../examples/quickstart/base";
/// # let mut session = Model::open(base)?.session()?;
/// let mut tokens = Vec::new();
/// let mut options =
///     GenerateOptions::new().max_new_tokens(64).on_token(|_row, token| {
///         tokens.push(token);
///         ControlFlow::Continue(())
///     });
/// let input = ForwardInput::row(&[1, 4, 12, 11, 10, 13]);
/// let result = session.generate(&input, &mut options)?;
/// drop(options);
/// assert_eq!(result.tokens(0), Some(&tokens[..]));
/// # Ok::<(), peft::Error>(())
/// ```
pub struct GenerateOptions<'a> {
    raw: sys::peft_generate_options_t,
    rows: Rows<'a>,
    stop_tokens: Vec<i64>,
    stop_lengths: Vec<usize>,
    watcher: Option<Box<PairWatcher<'a>>>,
}

impl fmt::Debug for GenerateOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl Default for GenerateOptions<'_> {
    fn default() -> Self {
        GenerateOptions {
            raw: default_struct!(
                peft_generate_options_t,
                peft_generate_options_init
            ),
            rows: Rows::default(),
            stop_tokens: Vec::new(),
            stop_lengths: Vec::new(),
            watcher: None,
        }
    }
}

impl<'a> GenerateOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// At least 1. Default 20.
        max_new_tokens: i64,
        /// Draws each token, and the next four say how. Default false: the best
        /// one each time.
        do_sample: bool,
        /// Divides the logits; over 0. Default 1.
        temperature: f32,
        /// Draws from the best so many tokens. Default 50; 0: from all.
        top_k: i64,
        /// Draws from the best tokens whose probabilities add up to so much; 0
        /// to 1. Default 1: from all.
        top_p: f32,
        /// Draws from tokens of at least so much of the best one's probability;
        /// 0 to 1. Default 0: from all.
        min_p: f32,
        /// Makes tokens that the row has already less likely; over 0. Default
        /// 1: off. Also without `do_sample`.
        repetition_penalty: f32,
        /// Equal seeds give equal tokens. Default 0.
        seed: u64,
        /// No token ends a row. Default false.
        ignore_eos: bool,
    }

    row_setters!();

    /// The tokens that end a row. Default: the model's own.
    pub fn eos_token_ids(mut self, ids: &'a [i64]) -> Self {
        self.raw.eos_token_ids = ids.as_ptr();
        self.raw.num_eos_token_ids = ids.len();
        self
    }

    /// A row ends when its new tokens end in one of these sequences.
    pub fn stop_sequences(mut self, sequences: &[&[i64]]) -> Self {
        self.stop_tokens = sequences.concat();
        self.stop_lengths = sequences.iter().map(|it| it.len()).collect();
        self.raw.stop_tokens = self.stop_tokens.as_ptr();
        self.raw.stop_sequence_lengths = self.stop_lengths.as_ptr();
        self.raw.num_stop_sequences = sequences.len();
        self
    }

    /// Is called for each new token of each row, with row and token, on the
    /// thread that called generate. `ControlFlow::Break(())` cancels:
    /// `Cancelled`. A panic of it goes on when generate has returned.
    pub fn on_token(
        mut self,
        function: impl FnMut(i64, i64) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.watcher = Some(PairWatcher::new(Box::new(function)));
        self.raw.on_token = Some(watch);
        self
    }

    pub(crate) fn run<R>(
        &mut self,
        f: impl FnOnce(*const sys::peft_generate_options_t) -> Result<R>,
    ) -> Result<R> {
        self.rows.texts.check()?;
        if let Some(watcher) = self.watcher.as_deref_mut() {
            self.raw.user_data = watcher.user_data();
        }
        let result = f(&self.raw);
        if let Some(watcher) = &self.watcher {
            watcher.resume();
        }
        result
    }
}

handle! {
    sync
    /// What generate made.
    GenerateResult, peft_generate_result_t, peft_generate_result_free
}

/// A row of a [`GenerateResult`], which it cannot outlive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedRow<'a> {
    /// The new tokens, the eos or stop tokens included.
    pub tokens: &'a [i64],
    /// Why the row ended.
    pub finish_reason: FinishReason,
}

impl GenerateResult {
    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        // SAFETY: The handle is good.
        unsafe { sys::peft_generate_result_num_rows(self.raw) }
    }

    /// The new tokens of a row, the eos or stop tokens included; `None` where
    /// there is no such row.
    pub fn tokens(&self, row: usize) -> Option<&[i64]> {
        let mut count = 0;
        // SAFETY: The tokens live until the result is freed.
        unsafe {
            let tokens =
                sys::peft_generate_result_tokens(self.raw, row, &mut count);
            match count {
                _ if row >= self.num_rows() => None,
                0 => Some(&[]),
                _ => Some(slice::from_raw_parts(tokens, count)),
            }
        }
    }

    /// Why a row ended; `None` where there is no such row.
    pub fn finish_reason(&self, row: usize) -> Option<FinishReason> {
        // SAFETY: The handle is good.
        match unsafe { sys::peft_generate_result_finish_reason(self.raw, row) }
        {
            0 => None,
            reason => Some(reason.into()),
        }
    }

    /// All rows in order.
    pub fn rows(&self) -> GeneratedRows<'_> {
        GeneratedRows { result: self, range: 0..self.num_rows() }
    }
}

/// Iterates over the rows of a [`GenerateResult`].
#[derive(Debug, Clone)]
pub struct GeneratedRows<'a> {
    result: &'a GenerateResult,
    range: Range<usize>,
}

impl<'a> Iterator for GeneratedRows<'a> {
    type Item = GeneratedRow<'a>;

    fn next(&mut self) -> Option<GeneratedRow<'a>> {
        let row = self.range.next()?;
        Some(GeneratedRow {
            tokens: self.result.tokens(row)?,
            finish_reason: self.result.finish_reason(row)?,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for GeneratedRows<'_> {}

impl<'a> IntoIterator for &'a GenerateResult {
    type Item = GeneratedRow<'a>;
    type IntoIter = GeneratedRows<'a>;

    fn into_iter(self) -> GeneratedRows<'a> {
        self.rows()
    }
}
