//! What goes into a forward.

use std::marker::PhantomData;

use peft_sys as sys;

use crate::activation::Activation;
use crate::constants::Output;
use crate::error::{Error, Result};
use crate::handle::{default_struct, setters};
use crate::rows::{row_setters, RowFields, Rows};

/// Token ids of a batch, row by row, borrowed.
///
/// ```
/// use peft::ForwardInput;
///
/// let ids = [0_i64, 1, 4, 12, 1, 4, 12, 11];
/// let mask = [0_i64, 1, 1, 1, 1, 1, 1, 1];
/// let input = ForwardInput::batch(&ids, 2)?.attention_mask(&mask)?;
/// assert_eq!(input.length(), 4);
/// # Ok::<(), peft::Error>(())
/// ```
///
/// It cannot outlive the ids:
///
/// ```compile_fail,E0597
/// # use peft::ForwardInput;
/// let input = {
///     let ids = vec![1_i64, 4, 12];
///     ForwardInput::row(&ids)
/// };
/// input.length();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ForwardInput<'a> {
    raw: sys::peft_forward_input_t,
    count: usize,
    lives: PhantomData<&'a [i64]>,
}

// SAFETY: Shared references to numbers.
unsafe impl Send for ForwardInput<'_> {}
// SAFETY: As above.
unsafe impl Sync for ForwardInput<'_> {}

impl<'a> ForwardInput<'a> {
    /// One row of ids, each in \[0, vocab_size).
    #[inline]
    pub fn row(ids: &'a [i64]) -> Self {
        Self::of(ids, 1)
    }

    /// So many rows of equal length. Fails where the ids are no such batch.
    pub fn batch(ids: &'a [i64], rows: usize) -> Result<Self> {
        if rows == 0 || ids.len() % rows != 0 {
            let expected = format!("a divisor of {} ids", ids.len());
            return Err(Error::argument("rows", expected, rows));
        }
        Ok(Self::of(ids, rows))
    }

    #[inline]
    fn of(ids: &'a [i64], rows: usize) -> Self {
        let mut raw =
            default_struct!(peft_forward_input_t, peft_forward_input_init);
        raw.ids = ids.as_ptr();
        // A slice has no more than i64::MAX elements.
        raw.batch = rows as i64;
        raw.length = (ids.len() / rows) as i64;
        ForwardInput { raw, count: ids.len(), lives: PhantomData }
    }

    /// 0 for padding, which nothing attends to, else 1: one for each id.
    /// Default: no padding.
    pub fn attention_mask(mut self, mask: &'a [i64]) -> Result<Self> {
        self.raw.attention_mask = self.as_many("attention_mask", mask)?;
        Ok(self)
    }

    /// The position of each id. Default: counted on from the tokens in the
    /// cache. Generate does not read them.
    pub fn position_ids(mut self, positions: &'a [i64]) -> Result<Self> {
        self.raw.position_ids = self.as_many("position_ids", positions)?;
        Ok(self)
    }

    /// The type of each id, of models that have token types. Default: all 0.
    pub fn token_type_ids(mut self, types: &'a [i64]) -> Result<Self> {
        self.raw.token_type_ids = self.as_many("token_type_ids", types)?;
        Ok(self)
    }

    /// The number of rows.
    pub fn num_rows(&self) -> i64 {
        self.raw.batch
    }

    /// The number of ids of each row.
    pub fn length(&self) -> i64 {
        self.raw.length
    }

    fn as_many(&self, what: &str, numbers: &'a [i64]) -> Result<*const i64> {
        if numbers.len() != self.count {
            let expected = format!("{} numbers", self.count);
            return Err(Error::argument(what, expected, numbers.len()));
        }
        Ok(numbers.as_ptr())
    }

    #[inline]
    pub(crate) fn raw(&self) -> *const sys::peft_forward_input_t {
        &self.raw
    }
}

/// What a forward does besides.
#[derive(Debug)]
pub struct ForwardOptions<'a> {
    raw: sys::peft_forward_options_t,
    rows: Rows<'a>,
}

impl Default for ForwardOptions<'_> {
    fn default() -> Self {
        let raw =
            default_struct!(peft_forward_options_t, peft_forward_options_init);
        ForwardOptions { raw, rows: Rows::default() }
    }
}

impl<'a> ForwardOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Computes the logits of the last so many positions of each row only.
        /// Default 0: of all.
        logits_to_keep: i64,
        /// Goes on with a cache that was written under other adapters. Default
        /// false: that is `ActivationChanged`.
        allow_activation_change: bool,
    }

    row_setters!();

    /// What to compute besides the logits that
    /// [`forward`](crate::Session::forward) returns. Default: with
    /// [`compute`](crate::Session::compute) what the model's class is for.
    pub fn outputs(mut self, outputs: &[Output]) -> Self {
        self.raw.outputs =
            outputs.iter().fold(0, |sum, &output| sum | i32::from(output));
        self
    }

    #[inline]
    pub(crate) fn raw(&self) -> Result<*const sys::peft_forward_options_t> {
        self.rows.texts.check()?;
        Ok(&self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_rows_of_equal_length() {
        let ids = [1, 2, 3, 4, 5, 6];
        let batch = ForwardInput::batch(&ids, 2).unwrap();
        assert_eq!((batch.num_rows(), batch.length()), (2, 3));
        assert_eq!(ForwardInput::batch(&ids, 4).unwrap_err().subject(), "rows");
        assert!(ForwardInput::batch(&ids, 0).is_err());
    }

    #[test]
    fn a_mask_is_as_long_as_the_ids() {
        let ids = [1, 2, 3];
        let input = ForwardInput::row(&ids);
        assert!(input.attention_mask(&[1, 1, 1]).is_ok());
        let error = input.position_ids(&[0, 1]).unwrap_err();
        assert_eq!(error.subject(), "position_ids");
        assert!(input.token_type_ids(&[]).is_err());
    }

    #[test]
    fn outputs_add_up() {
        let both = [Output::LastHiddenState, Output::PoolerOutput];
        assert_eq!(ForwardOptions::new().outputs(&both).raw.outputs, 6);
    }
}
