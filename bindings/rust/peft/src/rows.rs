//! Adapters for single rows of a batch.

use std::ffi::c_char;
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

/// The options that have rows.
pub(crate) trait RowFields {
    fn set_names(&mut self, names: *const *const c_char, count: usize);
    fn set_activations(
        &mut self,
        activations: *const *const sys::peft_activation_t,
        count: usize,
    );
}

macro_rules! row_fields {
    ($($raw:ident)*) => {$(
        impl RowFields for sys::$raw {
            fn set_names(&mut self, names: *const *const c_char, count: usize) {
                self.adapter_names = names;
                self.num_adapter_names = count;
            }

            fn set_activations(
                &mut self,
                activations: *const *const sys::peft_activation_t,
                count: usize,
            ) {
                self.activations = activations;
                self.num_activations = count;
            }
        }
    )*};
}

row_fields! {
    peft_forward_options_t peft_generate_options_t peft_run_layer_options_t
}

/// Setters of what these have in common. `self` has `raw` and `rows`.
macro_rules! row_setters {
    () => {
        /// Runs each row (of a layer each index along the first axis of its
        /// input) under an adapter of its own, whatever is active: one name
        /// for each, "\_\_base\_\_" for the base model. While adapters are
        /// disabled all rows run the base model, as in Python; so with
        /// activations.
        pub fn adapter_names(mut self, names: &[&str]) -> Self {
            let array = self.rows.texts.array(names.iter().copied());
            self.raw.set_names(array, names.len());
            self
        }

        /// The same with activations of the session's model: one for all rows
        /// or one for each; `None` is the base model. Not together with
        /// `adapter_names`.
        pub fn activations(
            mut self,
            activations: &[Option<&'a Activation>],
        ) -> Self {
            let array = self.rows.keep(activations);
            self.raw.set_activations(array, activations.len());
            self
        }
    };
}

pub(crate) use row_setters;
