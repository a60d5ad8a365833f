//! Conversations.

use std::ptr;

use peft_sys as sys;

use crate::constants::Output;
use crate::error::{check, Result};
use crate::forward::{ForwardInput, ForwardOptions};
use crate::generate::{GenerateOptions, GenerateResult};
use crate::handle::{default_struct, handle, out_struct, setters};
use crate::model::Model;
use crate::tensor_view::TensorView;

handle! {
    /// A KV cache with its workspace: one conversation, or one batch of them.
    /// Any number of sessions of one model run at the same time.
    ///
    /// ```
    /// use peft::{ForwardInput, ForwardOptions, Model};
    ///
    /// # let base = "../../../examples/quickstart/base";
    /// let model = Model::open(base)?;
    /// let mut session = model.session()?;
    /// let input = ForwardInput::row(&[1, 4, 12, 11]);
    /// let logits = session.forward(&input, &ForwardOptions::new())?;
    /// assert_eq!(logits.sizes()[..2], [1, 4]);
    /// # Ok::<(), peft::Error>(())
    /// ```
    ///
    /// A session goes on overwriting what it lends, so nothing of it outlives
    /// the next call:
    ///
    /// ```compile_fail,E0499
    /// # use peft::{ForwardInput, ForwardOptions, Session};
    /// # fn f(session: &mut Session) -> peft::Result<()> {
    /// let (input, options) =
    ///     (ForwardInput::row(&[1, 4]), ForwardOptions::new());
    /// let logits = session.forward(&input, &options)?;
    /// session.forward(&input, &options)?;
    /// println!("{:?}", logits.sizes());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It may go to another thread, but not be used by two at once:
    ///
    /// ```compile_fail,E0277
    /// fn share<T: Sync>() {}
    /// share::<peft::Session>();
    /// ```
    Session, peft_session_t, peft_session_free
}

/// How a session is made.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    raw: sys::peft_session_options_t,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let raw =
            default_struct!(peft_session_options_t, peft_session_options_init);
        SessionOptions { raw }
    }
}

impl SessionOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// How many positions the cache may hold; more is `SequenceTooLong`.
        /// Default 0: it grows as memory allows.
        max_length: i64,
        /// Where the base's weights are bf16 and the processor multiplies bf16
        /// faster, forwards of more than 8 tokens round what goes into the
        /// linear layers to bf16, too. Results are then off by some thousandths
        /// of their size. Default false.
        round_activations: bool,
    }
}

impl Session {
    /// Makes an empty session of `model`. Fails with `ModelNotRunnable` on a
    /// host model.
    pub fn new(model: &Model, options: &SessionOptions) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: All is valid for the call.
        check(unsafe {
            sys::peft_session_create(model.as_raw(), &options.raw, &mut raw)
        })?;
        Ok(Self::from_new(raw))
    }

    /// Empties the cache.
    pub fn reset(&mut self) -> Result<()> {
        // SAFETY: The handle is good.
        check(unsafe { sys::peft_session_reset(self.raw) })
    }

    /// The number of positions in the cache.
    #[inline]
    pub fn cache_length(&self) -> i64 {
        // SAFETY: The handle is good.
        unsafe { sys::peft_session_cache_length(self.raw) }
    }

    /// Runs the tokens after those in the cache, under the adapters that are
    /// active when the call begins. Returns the logits, f32 (batch, positions,
    /// vocab_size); of a model that classifies sequences (batch, labels). The
    /// first forward after creation or a reset fixes the batch. Allocates
    /// nothing on this side.
    #[inline]
    pub fn forward(
        &mut self,
        input: &ForwardInput<'_>,
        options: &ForwardOptions<'_>,
    ) -> Result<TensorView<'_>> {
        let mut logits = out_struct!(peft_tensor_view_t);
        let options = options.raw()?;
        // SAFETY: All is valid for the call; what the view points to lives
        // until the next call on the session, which needs it mutably.
        unsafe {
            check(sys::peft_session_forward(
                self.raw,
                input.raw(),
                options,
                &mut logits,
            ))?;
            Ok(TensorView::from_raw(logits))
        }
    }

    /// The same for what [`ForwardOptions::outputs`] says, which
    /// [`output`](Session::output) then lends.
    #[inline]
    pub fn compute(
        &mut self,
        input: &ForwardInput<'_>,
        options: &ForwardOptions<'_>,
    ) -> Result<()> {
        let options = options.raw()?;
        // SAFETY: All is valid for the call.
        check(unsafe {
            sys::peft_session_forward(
                self.raw,
                input.raw(),
                options,
                ptr::null_mut(),
            )
        })
    }

    /// What the last forward gave back: f32, the logits, `last_hidden_state`
    /// (batch, length, hidden_size) or `pooler_output` (batch, hidden_size).
    /// Fails with `OutputNotComputed` where that forward was not asked for it.
    #[inline]
    pub fn output(&self, output: Output) -> Result<TensorView<'_>> {
        let mut view = out_struct!(peft_tensor_view_t);
        // SAFETY: `view` is the library's to write to; what it points to lives
        // until the next forward, generate or reset, which need `&mut self`.
        unsafe {
            check(sys::peft_session_get_output(
                self.raw,
                output.into(),
                &mut view,
            ))?;
            Ok(TensorView::from_raw(view))
        }
    }

    /// Resets the session, then generates from `input` under the adapters that
    /// are active when the call begins, to its end. Rows of different lengths
    /// are padded on the left.
    pub fn generate(
        &mut self,
        input: &ForwardInput<'_>,
        options: &mut GenerateOptions<'_>,
    ) -> Result<GenerateResult> {
        options.run(|options| {
            let mut raw = ptr::null_mut();
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_session_generate(
                    self.raw,
                    input.raw(),
                    options,
                    &mut raw,
                )
            })?;
            Ok(GenerateResult::from_new(raw))
        })
    }
}
