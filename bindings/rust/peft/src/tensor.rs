//! Tensors that keep their memory alive.

use peft_sys as sys;

use crate::dlpack::DlpackTensor;
use crate::error::{check, Result};
use crate::handle::{handle, out_struct};
use crate::tensor_view::TensorView;

handle! {
    sync
    /// A tensor that keeps its memory alive, whatever else is freed.
    ///
    /// What it lends cannot outlive it:
    ///
    /// ```compile_fail,E0505
    /// # fn f(tensor: peft::Tensor) -> peft::Result<()> {
    /// let view = tensor.view()?;
    /// drop(tensor);
    /// println!("{:?}", view.sizes());
    /// # Ok(())
    /// # }
    /// ```
    Tensor, peft_tensor_t, peft_tensor_free
}

impl Tensor {
    /// The elements, where they lie.
    #[inline]
    pub fn view(&self) -> Result<TensorView<'_>> {
        let mut raw = out_struct!(peft_tensor_view_t);
        // SAFETY: `raw` is the library's to write to; what it then points to
        // lives until the tensor is freed.
        unsafe {
            check(sys::peft_tensor_get_view(self.raw, &mut raw))?;
            Ok(TensorView::from_raw(raw))
        }
    }

    /// The tensor as DLPack has it, to hand to other libraries. Fails with
    /// `TensorDtype` for element types that DLPack has no code for.
    pub fn to_dlpack(&self) -> Result<DlpackTensor> {
        let mut managed = std::ptr::null_mut();
        // SAFETY: `managed` is the library's to write to.
        unsafe {
            check(sys::peft_tensor_to_dlpack(self.raw, &mut managed))?;
            Ok(DlpackTensor::from_raw(managed.cast()))
        }
    }
}
