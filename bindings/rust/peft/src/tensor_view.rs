//! Elements in memory that somebody else owns.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::{fmt, ptr, slice};

use peft_sys as sys;

use crate::constants::{DType, Device};
use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::handle::default_struct;

/// A description of elements in memory that lives for `'a`: of the program's,
/// to hand over, or of the library's, to read.
///
/// ```
/// use peft::TensorView;
///
/// let rows = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let view = TensorView::new(&rows, &[2, 3])?;
/// assert_eq!(view.sizes(), [2, 3]);
/// assert_eq!(view.as_slice::<f32>(), Some(&rows[..]));
/// # Ok::<(), peft::Error>(())
/// ```
///
/// It cannot outlive what it describes:
///
/// ```compile_fail,E0597
/// # use peft::TensorView;
/// let view = {
///     let rows = vec![1.0_f32; 6];
///     TensorView::new(&rows, &[2, 3]).unwrap()
/// };
/// view.rank();
/// ```
#[derive(Clone, Copy)]
pub struct TensorView<'a> {
    raw: sys::peft_tensor_view_t,
    lives: PhantomData<&'a [u8]>,
}

// SAFETY: A view is a shared reference to numbers.
unsafe impl Send for TensorView<'_> {}
// SAFETY: As above.
unsafe impl Sync for TensorView<'_> {}

impl<'a> TensorView<'a> {
    /// Contiguous elements, the last axis fastest. Fails where `sizes` asks for
    /// another number of them than there are.
    pub fn new<T: Element>(data: &'a [T], sizes: &'a [i64]) -> Result<Self> {
        let count = num_elements(sizes);
        if count != Some(data.len()) {
            let expected = format!("{} elements", data.len());
            return Err(Error::argument("sizes", expected, Numbers(sizes)));
        }
        Ok(Self::of(data.as_ptr().cast(), T::DTYPE, sizes, None))
    }

    /// Contiguous elements of a type that Rust may not have, as bytes. They
    /// need not be aligned.
    pub fn from_bytes(
        data: &'a [u8],
        dtype: DType,
        sizes: &'a [i64],
    ) -> Result<Self> {
        let bytes = num_elements(sizes).and_then(|count| dtype.bytes(count));
        if bytes != Some(data.len()) {
            let expected = format!("{} bytes of {dtype:?}", data.len());
            return Err(Error::argument("sizes", expected, Numbers(sizes)));
        }
        Ok(Self::of(data.as_ptr().cast(), dtype, sizes, None))
    }

    /// Elements of which the next along each axis is `strides` elements
    /// further, such as a matrix that is stored transposed. Fails where that
    /// leads out of `data`.
    pub fn with_strides<T: Element>(
        data: &'a [T],
        sizes: &'a [i64],
        strides: &'a [i64],
    ) -> Result<Self> {
        let end = end_of(sizes, strides);
        if !end.is_some_and(|end| end <= data.len()) {
            let expected = format!("inside of {} elements", data.len());
            return Err(Error::argument("strides", expected, Numbers(strides)));
        }
        Ok(Self::of(data.as_ptr().cast(), T::DTYPE, sizes, Some(strides)))
    }

    /// The description of elements that are not there.
    pub(crate) fn without_data(dtype: DType, sizes: &'a [i64]) -> Self {
        Self::of(ptr::null(), dtype, sizes, None)
    }

    pub(crate) fn of(
        data: *const c_void,
        dtype: DType,
        sizes: &'a [i64],
        strides: Option<&'a [i64]>,
    ) -> Self {
        let mut raw =
            default_struct!(peft_tensor_view_t, peft_tensor_view_init);
        raw.data = data;
        raw.dtype = dtype.into();
        // A rank that is too large is the library's to refuse.
        raw.rank = i32::try_from(sizes.len()).unwrap_or(i32::MAX);
        raw.sizes = sizes.as_ptr();
        raw.strides = strides.map_or(ptr::null(), <[i64]>::as_ptr);
        TensorView { raw, lives: PhantomData }
    }

    /// Elements at an address of a CUDA device, which the process cannot read.
    pub(crate) fn on_cuda(
        address: u64,
        dtype: DType,
        sizes: &'a [i64],
    ) -> Self {
        let data = address as usize as *const c_void;
        let mut view = Self::of(data, dtype, sizes, None);
        view.raw.device_type = Device::Cuda.into();
        view
    }

    /// The same elements with other strides, one for each size, and on another
    /// device of their kind.
    pub(crate) fn placed(
        mut self,
        strides: Option<&'a [i64]>,
        index: i32,
    ) -> Self {
        self.raw.strides = strides.map_or(ptr::null(), <[i64]>::as_ptr);
        self.raw.device_index = index;
        self
    }

    /// A view that the library wrote.
    ///
    /// # Safety
    ///
    /// What it points to lives, unchanged, for `'a`.
    pub(crate) unsafe fn from_raw(raw: sys::peft_tensor_view_t) -> Self {
        TensorView { raw, lives: PhantomData }
    }

    pub(crate) fn to_raw(self) -> sys::peft_tensor_view_t {
        self.raw
    }

    /// The header's struct, for calls that this crate has not.
    #[inline]
    pub fn as_raw(&self) -> *const sys::peft_tensor_view_t {
        &self.raw
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.raw.dtype.into()
    }

    /// The kind of device that the memory is of, and which of them.
    pub fn device(&self) -> (Device, i32) {
        (self.raw.device_type.into(), self.raw.device_index)
    }

    /// The number of axes; 0 for a scalar.
    pub fn rank(&self) -> usize {
        usize::try_from(self.raw.rank).unwrap_or(0)
    }

    /// The number of elements along each axis.
    pub fn sizes(&self) -> &'a [i64] {
        // SAFETY: There are `rank` of them, for `'a`.
        unsafe { numbers(self.raw.sizes, self.rank()) }
    }

    /// How many elements further the next along each axis is; `None`:
    /// contiguous.
    pub fn strides(&self) -> Option<&'a [i64]> {
        if self.raw.strides.is_null() {
            return None;
        }
        // SAFETY: As above.
        Some(unsafe { numbers(self.raw.strides, self.rank()) })
    }

    /// The number of elements.
    pub fn num_elements(&self) -> usize {
        num_elements(self.sizes()).unwrap_or(0)
    }

    /// Whether each element lies beside the next, the last axis fastest.
    pub fn is_contiguous(&self) -> bool {
        let Some(strides) = self.strides() else { return true };
        if self.num_elements() == 0 {
            return true;
        }
        let mut expected = 1;
        for (&size, &stride) in self.sizes().iter().zip(strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// The elements where they lie; `None` if they are not of this type, not
    /// contiguous, not aligned, not in the computer's own memory or not there.
    #[inline]
    pub fn as_slice<T: Element>(&self) -> Option<&'a [T]> {
        let data = self.raw.data.cast::<T>();
        let is_readable = self.dtype() == T::DTYPE && self.is_host_memory();
        if !is_readable {
            return None;
        }
        let count = self.num_elements();
        if count == 0 {
            return Some(&[]);
        }
        if data.is_null() || !is_aligned(data) {
            return None;
        }
        // SAFETY: `count` aligned elements of this type, for `'a`.
        Some(unsafe { slice::from_raw_parts(data, count) })
    }

    /// The bytes of contiguous elements, as they lie in memory; `None` if they
    /// are not contiguous or not in the computer's own.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        if !self.is_host_memory() {
            return None;
        }
        match self.dtype().bytes(self.num_elements())? {
            0 => Some(&[]),
            _ if self.raw.data.is_null() => None,
            // SAFETY: So many bytes hold the elements, for `'a`.
            size => Some(unsafe {
                slice::from_raw_parts(self.raw.data.cast(), size)
            }),
        }
    }

    fn is_host_memory(&self) -> bool {
        self.device().0 == Device::Cpu && self.is_contiguous()
    }
}

impl fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorView")
            .field("dtype", &self.dtype())
            .field("sizes", &self.sizes())
            .field("strides", &self.strides())
            .finish_non_exhaustive()
    }
}

fn is_aligned<T>(data: *const T) -> bool {
    data as usize % std::mem::align_of::<T>() == 0
}

/// `None` for sizes below 0 and products that are no `usize`.
fn num_elements(sizes: &[i64]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |product, &size| {
        product.checked_mul(usize::try_from(size).ok()?)
    })
}

/// One beyond the last element that strides lead to; `None` where they lead
/// before the first.
fn end_of(sizes: &[i64], strides: &[i64]) -> Option<usize> {
    if sizes.len() != strides.len() {
        return None;
    }
    if num_elements(sizes)? == 0 {
        return Some(0);
    }
    let last = sizes.iter().zip(strides).try_fold(0, |last, (size, stride)| {
        let steps = usize::try_from(size - 1).ok()?;
        let stride = usize::try_from(*stride).ok()?;
        steps.checked_mul(stride)?.checked_add(last)
    });
    last?.checked_add(1)
}

/// # Safety
///
/// `data` points to so many numbers that live for `'a`.
unsafe fn numbers<'a>(data: *const i64, count: usize) -> &'a [i64] {
    if count == 0 || data.is_null() {
        return &[];
    }
    // SAFETY: As the caller promises.
    unsafe { slice::from_raw_parts(data, count) }
}

pub(crate) struct Numbers<'a>(pub(crate) &'a [i64]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_must_fit_the_elements() {
        let data = [0_i32; 6];
        for sizes in [&[2_i64, 4][..], &[-1, -6], &[], &[i64::MAX, i64::MAX]] {
            let error = TensorView::new(&data, sizes).unwrap_err();
            assert_eq!(error.subject(), "sizes");
        }
        assert!(TensorView::new(&data[..1], &[]).is_ok());
        assert!(TensorView::new(&data[..0], &[3, 0]).is_ok());
    }

    #[test]
    fn bytes_must_fit_the_type() {
        assert!(TensorView::from_bytes(&[0; 3], DType::F4, &[5]).is_ok());
        assert!(TensorView::from_bytes(&[0; 3], DType::F4, &[7]).is_err());
        assert!(TensorView::from_bytes(&[0; 3], DType::Bf16, &[1]).is_err());
        let unknown = DType::Unknown(99);
        assert!(TensorView::from_bytes(&[0; 3], unknown, &[3]).is_err());
    }

    #[test]
    fn strides_must_stay_inside() {
        let data = [1.0_f32; 6];
        let sizes = [3_i64, 2];
        let view = |strides| TensorView::with_strides(&data, &sizes, strides);
        assert!(view(&[1, 3]).is_ok());
        for strides in [&[2_i64, 2][..], &[-1, 3], &[1], &[i64::MAX, 1]] {
            assert_eq!(view(strides).unwrap_err().subject(), "strides");
        }
    }

    #[test]
    fn only_what_is_contiguous_is_a_slice() {
        let data = [1.0_f32, 2.0, 3.0, 4.0];
        let sizes = [2_i64, 2];
        let view = |strides| TensorView::with_strides(&data, &sizes, strides);
        assert_eq!(view(&[1, 2]).unwrap().as_slice::<f32>(), None);
        assert_eq!(view(&[2, 1]).unwrap().as_slice(), Some(&data[..]));
    }

    #[test]
    fn a_slice_is_of_the_tensors_type_and_aligned() {
        let numbers = [0_u64; 2];
        let bytes = TensorView::new(&numbers, &[2]).unwrap();
        let bytes = bytes.as_bytes().unwrap();
        let view = |at: usize| {
            TensorView::from_bytes(&bytes[at..at + 8], DType::F32, &[2])
                .unwrap()
        };
        assert_eq!(view(0).as_slice::<f32>(), Some(&[0.0, 0.0][..]));
        assert_eq!(view(0).as_slice::<i32>(), None);
        assert_eq!(view(1).as_slice::<f32>(), None);
        assert_eq!(view(1).as_bytes(), Some(&bytes[1..9]));
    }
}
