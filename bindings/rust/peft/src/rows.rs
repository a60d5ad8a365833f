//! Adapters for single rows of a batch.

use std::marker::PhantomData;

use peft_sys as sys;

use crate::activation::Activation;
use crate::text::TextPool;

/// What the options of forward and generate keep for their rows.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    pub(crate) texts: TextPool,
    activations: Vec<*const sys::peft_activation_t>,
    lives: PhantomData<&'a Activation>,
}

impl<'a> Rows<'a> {
    /// Keeps the handles; a null one is the base model.
    pub(crate) fn keep(
        &mut self,
        activations: &[Option<&'a Activation>],
    ) -> *const *const sys::peft_activation_t {
        let raw = |it: &Option<&Activation>| {
            it.map_or(std::ptr::null_mut(), Activation::as_raw).cast_const()
        };
        self.activations = activations.iter().map(raw).collect();
        self.activations.as_ptr()
    }
}

/// Setters of what forward and generate have in common. `self` has `raw` and
/// `rows`.
macro_rules! row_setters {
    () => {
        /// Runs each row under an adapter of its own, whatever is active: one
        /// name for each, "\_\_base\_\_" for the base model. While adapters are
        /// disabled all rows run the base model, as in Python; so with
        /// activations.
        pub fn adapter_names(mut self, names: &[&str]) -> Self {
            let array = self.rows.texts.array(names.iter().copied());
            self.raw.adapter_names = array;
            self.raw.num_adapter_names = names.len();
            self
        }

        /// The same with activations of the session's model: one for all rows
        /// or one for each; `None` is the base model. Not together with
        /// `adapter_names`.
        pub fn activations(
            mut self,
            activations: &[Option<&'a Activation>],
        ) -> Self {
            self.raw.activations = self.rows.keep(activations);
            self.raw.num_activations = activations.len();
            self
        }
    };
}

pub(crate) use row_setters;
