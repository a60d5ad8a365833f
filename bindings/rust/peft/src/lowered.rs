//! What adapters do at a layer, for a program that runs it itself.

use std::marker::PhantomData;
use std::ptr;

use peft_sys as sys;

use crate::activation::Activation;
use crate::constants::{FormKind, FormTensor};
use crate::error::{check, Result};
use crate::handle::out_struct;
use crate::layer_runner::LayerNumber;
use crate::model::Model;
use crate::tensor_view::TensorView;

/// What adapters do at a layer, for a program that runs it itself, as on its
/// own GPU: a list of forms, in the order in which they act. The tensors are
/// the adapters' own, not copies.
#[derive(Debug)]
pub struct Lowered<'m> {
    raw: *mut sys::peft_lowered_t,
    lives: PhantomData<&'m Model>,
}

// SAFETY: A handle points to nothing and belongs to no thread.
unsafe impl Send for Lowered<'_> {}
// SAFETY: The header calls it immutable.
unsafe impl Sync for Lowered<'_> {}

impl Drop for Lowered<'_> {
    fn drop(&mut self) {
        // SAFETY: The handle is this object's own.
        unsafe { sys::peft_lowered_free(self.raw) }
    }
}

/// A form of a [`Lowered`], which it cannot outlive.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// What it does.
    pub kind: FormKind,
    /// Of `FormKind::LowRank`, all scales of the adapter and of the activation
    /// multiplied; else 1.
    pub scale: f32,
    index: usize,
    raw: *const sys::peft_lowered_t,
    lives: PhantomData<&'a ()>,
}

// SAFETY: A handle points to nothing, and the header calls it immutable.
unsafe impl Send for Form<'_> {}
// SAFETY: As above.
unsafe impl Sync for Form<'_> {}

impl Model {
    /// What `activation`, or with `None` what is active on the model, does at a
    /// layer; no form: nothing.
    pub fn lower_layer(
        &self,
        layer: LayerNumber,
        activation: Option<&Activation>,
    ) -> Result<Lowered<'_>> {
        let mut raw = ptr::null_mut();
        let activation = activation.map_or(ptr::null_mut(), Activation::as_raw);
        // SAFETY: All is valid for the call.
        check(unsafe {
            sys::peft_model_lower_layer(
                self.as_raw(),
                layer.0,
                activation,
                &mut raw,
            )
        })?;
        Ok(Lowered { raw, lives: PhantomData })
    }
}

impl Lowered<'_> {
    /// The number of forms.
    pub fn len(&self) -> usize {
        // SAFETY: The handle is good.
        unsafe { sys::peft_lowered_size(self.raw) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Form `index`. Fails with `Argument` beyond the last.
    pub fn form(&self, index: usize) -> Result<Form<'_>> {
        let mut raw = out_struct!(peft_form_t);
        // SAFETY: `raw` is the library's to write to.
        check(unsafe {
            sys::peft_lowered_get_form(self.raw, index, &mut raw)
        })?;
        Ok(Form {
            kind: raw.kind.into(),
            scale: raw.scale,
            index,
            raw: self.raw,
            lives: PhantomData,
        })
    }

    /// All forms, in the order in which they act.
    pub fn forms(&self) -> impl Iterator<Item = Form<'_>> {
        (0..self.len()).map_while(|index| self.form(index).ok())
    }
}

impl<'a> Form<'a> {
    /// One of its tensors. Fails with `TensorMissing` where it has none such.
    pub fn tensor(&self, tensor: FormTensor) -> Result<TensorView<'a>> {
        let mut view = out_struct!(peft_tensor_view_t);
        let get = sys::peft_lowered_get_tensor;
        // SAFETY: `view` is the library's to write to; what it points to lives
        // until the lowered adapters are freed.
        unsafe {
            check(get(self.raw, self.index, tensor.into(), &mut view))?;
            Ok(TensorView::from_raw(view))
        }
    }
}
