//! Tensors for other libraries.

use std::ffi::c_void;
use std::ptr::NonNull;

/// The device of a [`DLTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct DLDevice {
    /// 1: the computer's own.
    pub device_type: i32,
    /// Which of them.
    pub device_id: i32,
}

/// The element type of a [`DLTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct DLDataType {
    /// 0: signed, 1: unsigned, 2: float, 4: bfloat ...
    pub code: u8,
    /// Of one lane.
    pub bits: u8,
    /// 1: no vectors.
    pub lanes: u16,
}

/// DLPack's tensor, as its own `dlpack.h` has it (major version 0).
#[derive(Debug)]
#[repr(C)]
pub struct DLTensor {
    /// The memory.
    pub data: *mut c_void,
    /// Where it is.
    pub device: DLDevice,
    /// The number of axes.
    pub ndim: i32,
    /// The element type.
    pub dtype: DLDataType,
    /// As many sizes as axes.
    pub shape: *mut i64,
    /// As many strides, in elements; null: contiguous.
    pub strides: *mut i64,
    /// From `data` to the first element.
    pub byte_offset: u64,
}

/// DLPack's owner of a tensor.
#[derive(Debug)]
#[repr(C)]
pub struct DLManagedTensor {
    /// The tensor.
    pub dl_tensor: DLTensor,
    /// The producer's.
    pub manager_ctx: *mut c_void,
    /// Ends the tensor; its consumer calls it once, on any thread.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// A tensor as DLPack has it. It keeps its memory alive by itself. The memory
/// must not be written to.
#[derive(Debug)]
pub struct DlpackTensor(NonNull<DLManagedTensor>);

// SAFETY: DLPack's consumer may end a tensor on any thread, and nobody writes.
unsafe impl Send for DlpackTensor {}
// SAFETY: As above.
unsafe impl Sync for DlpackTensor {}

impl DlpackTensor {
    /// # Safety
    ///
    /// `managed` is a good tensor, which this object then owns.
    pub(crate) unsafe fn from_raw(managed: *mut DLManagedTensor) -> Self {
        DlpackTensor(NonNull::new(managed).expect("a success has a tensor"))
    }

    /// The tensor.
    pub fn get(&self) -> &DLTensor {
        // SAFETY: The object owns it.
        unsafe { &self.0.as_ref().dl_tensor }
    }

    /// Hands the tensor over to a consumer, which calls its deleter.
    pub fn into_raw(self) -> *mut DLManagedTensor {
        let managed = self.0.as_ptr();
        std::mem::forget(self);
        managed
    }
}

impl Drop for DlpackTensor {
    fn drop(&mut self) {
        // SAFETY: The object owns the tensor, and ends it once.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter {
                deleter(self.0.as_ptr());
            }
        }
    }
}
