//! Tensors by name.

use std::path::Path;

use peft_sys as sys;

use crate::error::{check, Result};
use crate::handle::handle;
use crate::tensor::Tensor;
use crate::tensor_view::TensorView;
use crate::text::{str_of, with_path, with_text};

handle! {
    /// Tensors by name, in the order of their names.
    ///
    /// ```
    /// use peft::{StateDict, TensorView};
    ///
    /// let mut dict = StateDict::new()?;
    /// dict.set("layer.weight", &TensorView::new(&[1.0_f32, 2.0], &[2])?)?;
    /// for name in dict.names() {
    ///     let tensor = dict.get(name)?;
    ///     println!("{name}: {:?}", tensor.view()?.sizes());
    /// }
    /// # Ok::<(), peft::Error>(())
    /// ```
    ///
    /// It may go to another thread, but not be used by two at once:
    ///
    /// ```compile_fail,E0277
    /// fn share<T: Sync>() {}
    /// share::<peft::StateDict>();
    /// ```
    StateDict, peft_state_dict_t, peft_state_dict_free
}

impl StateDict {
    /// Makes an empty one.
    pub fn new() -> Result<Self> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is the library's to write to.
        check(unsafe { sys::peft_state_dict_create(&mut raw) })?;
        Ok(Self::from_new(raw))
    }

    /// Reads a safetensors file or one of `torch.save`, told apart by their
    /// contents.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let mut raw = std::ptr::null_mut();
        with_path(path.as_ref(), |path| {
            // SAFETY: The path is valid for the call.
            check(unsafe { sys::peft_state_dict_read(path, &mut raw) })
        })?;
        Ok(Self::from_new(raw))
    }

    /// Writes a safetensors file through a temporary file and a rename: after a
    /// failure what was at `path` is unchanged.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        with_path(path.as_ref(), |path| {
            // SAFETY: The path is valid for the call.
            check(unsafe { sys::peft_state_dict_write(self.raw, path) })
        })
    }

    /// Adds a copy of the elements under `name`, replacing what was there.
    pub fn set(&mut self, name: &str, view: &TensorView<'_>) -> Result<()> {
        with_text(name, |name| {
            // SAFETY: Name and view are valid for the call.
            check(unsafe {
                sys::peft_state_dict_set(self.raw, name, view.as_raw())
            })
        })
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        // SAFETY: The handle is good.
        unsafe { sys::peft_state_dict_size(self.raw) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> StateDictNames<'_> {
        StateDictNames { dict: self, range: 0..self.len() }
    }

    /// The tensor `name`, which outlives the state dict. Fails with
    /// `TensorMissing`.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let mut raw = std::ptr::null_mut();
        with_text(name, |name| {
            // SAFETY: The name is valid for the call.
            check(unsafe { sys::peft_state_dict_get(self.raw, name, &mut raw) })
        })?;
        Ok(Tensor::from_new(raw))
    }

    /// All tensors with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Result<Tensor>)> {
        self.names().map(|name| (name, self.get(name)))
    }
}

/// Iterates over the names of a [`StateDict`].
#[derive(Debug, Clone)]
pub struct StateDictNames<'a> {
    dict: &'a StateDict,
    range: std::ops::Range<usize>,
}

impl<'a> Iterator for StateDictNames<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let index = self.range.next()?;
        // SAFETY: The text lives until the state dict changes or is freed,
        // which it cannot while it is borrowed.
        unsafe { str_of(sys::peft_state_dict_name(self.dict.raw, index)) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for StateDictNames<'_> {}
