//! Elements that the library may write to.

use std::marker::PhantomData;

use peft_sys as sys;

use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::tensor_view::{Numbers, TensorView};

/// A [`TensorView`] of the program's own memory that the library may write to.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    view: TensorView<'a>,
    lives: PhantomData<&'a mut [u8]>,
}

impl<'a> TensorViewMut<'a> {
    /// As [`TensorView::new`].
    pub fn new<T: Element>(
        data: &'a mut [T],
        sizes: &'a [i64],
    ) -> Result<Self> {
        let raw = TensorView::new(data, sizes)?.to_raw();
        Ok(Self::of(data, raw))
    }

    /// As [`TensorView::with_strides`], for rows that lie apart. Fails where
    /// elements share memory, or axes are not in the order of their strides.
    pub fn with_strides<T: Element>(
        data: &'a mut [T],
        sizes: &'a [i64],
        strides: &'a [i64],
    ) -> Result<Self> {
        let raw = TensorView::with_strides(data, sizes, strides)?.to_raw();
        if !are_apart(sizes, strides) {
            let found = Numbers(strides);
            return Err(Error::argument("strides", "elements apart", found));
        }
        Ok(Self::of(data, raw))
    }

    /// `raw` describes `data`, with sizes that live for `'a`.
    fn of<T>(data: &'a mut [T], mut raw: sys::peft_tensor_view_t) -> Self {
        raw.data = data.as_mut_ptr().cast();
        // SAFETY: As said.
        let view = unsafe { TensorView::from_raw(raw) };
        TensorViewMut { view, lives: PhantomData }
    }

    /// The elements as they are now.
    pub fn as_view(&self) -> TensorView<'_> {
        self.view
    }

    /// The view itself, for those who keep this object as long.
    pub(crate) fn into_view(self) -> TensorView<'a> {
        self.view
    }

    #[inline]
    pub(crate) fn as_raw(&mut self) -> *const sys::peft_tensor_view_t {
        self.view.as_raw()
    }
}

/// Whether each step along an axis leads beyond what is inside of it.
fn are_apart(sizes: &[i64], strides: &[i64]) -> bool {
    let mut inside = 1;
    sizes.iter().zip(strides).rev().all(|(&size, &stride)| {
        let is_apart = size <= 1 || stride >= inside;
        if size > 1 {
            inside = stride.saturating_mul(size);
        }
        is_apart
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_that_are_written_to_share_no_memory() {
        let mut data = [0.0_f32; 12];
        let mut is_good = |sizes: &[i64], strides: &[i64]| {
            TensorViewMut::with_strides(&mut data, sizes, strides).is_ok()
        };
        assert!(is_good(&[2, 3], &[3, 1]));
        assert!(is_good(&[2, 3], &[6, 2]));
        assert!(is_good(&[1, 3], &[0, 1]));
        assert!(!is_good(&[2, 3], &[0, 1]));
        assert!(!is_good(&[2, 3], &[2, 1]));
        assert!(!is_good(&[2, 3], &[1, 2]));
        assert!(!is_good(&[3], &[0]));
    }

    #[test]
    fn what_was_written_is_read() {
        let mut data = [1.0_f32, 2.0];
        let view = TensorViewMut::new(&mut data, &[2]).unwrap();
        assert_eq!(view.as_view().as_slice(), Some(&[1.0_f32, 2.0][..]));
    }
}
