//! Adapters that act together, as a value.

use std::ptr;

use peft_sys as sys;

use crate::adapter_options::{check_scales, scales_of};
use crate::error::{check, Result};
use crate::handle::handle;
use crate::model::Model;
use crate::text::with_names;

handle! {
    sync
    /// Adapters with scales that act together on a row: a small value for a
    /// call of its own choice, whatever is active on the model. It keeps the
    /// generations that it was made with.
    ///
    /// Options that name it cannot outlive it:
    ///
    /// ```compile_fail,E0505
    /// # fn f(activation: peft::Activation) {
    /// let options =
    ///     peft::ForwardOptions::new().activations(&[Some(&activation)]);
    /// drop(activation);
    /// println!("{options:?}");
    /// # }
    /// ```
    Activation, peft_activation_t, peft_activation_free
}

impl Activation {
    /// Adapters of `model` with as many scales (`None`: all 1); with none the
    /// base model.
    pub fn new(
        model: &Model,
        names: &[&str],
        scales: Option<&[f32]>,
    ) -> Result<Self> {
        check_scales(scales, names.len())?;
        let mut raw = ptr::null_mut();
        with_names(names, |names, count| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_activation_create(
                    model.as_raw(),
                    names,
                    scales_of(scales),
                    count,
                    &mut raw,
                )
            })
        })?;
        Ok(Self::from_new(raw))
    }
}
