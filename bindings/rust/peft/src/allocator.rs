//! The library's memory.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr;

use peft_sys as sys;

use crate::error::{check, Result};
use crate::handle::default_struct;

/// Takes all memory of the library from `allocator`, to the end of the process.
/// Must be the first call of this crate, and come once: else `Allocator`, also
/// after one that failed. The allocator must not call this crate.
///
/// ```
/// use std::alloc::System;
///
/// static SYSTEM: System = System;
/// peft::set_allocator(&SYSTEM)?;
/// # Ok::<(), peft::Error>(())
/// ```
pub fn set_allocator<A: GlobalAlloc + Sync>(
    allocator: &'static A,
) -> Result<()> {
    let mut raw = default_struct!(peft_allocator_t, peft_allocator_init);
    raw.user_data = (allocator as *const A).cast_mut().cast();
    raw.allocate = Some(allocate::<A>);
    raw.deallocate = Some(deallocate::<A>);
    // SAFETY: The allocator lives as long as the process, and may be called on
    // any thread.
    check(unsafe { sys::peft_set_allocator(&raw) })
}

/// `GlobalAlloc` has no allocations of 0 bytes.
fn layout(size: usize, alignment: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), alignment).ok()
}

unsafe extern "C" fn allocate<A: GlobalAlloc>(
    user_data: *mut c_void,
    size: usize,
    alignment: usize,
) -> *mut c_void {
    match layout(size, alignment) {
        // SAFETY: `user_data` is the allocator; the size is not 0.
        Some(layout) => unsafe {
            (*user_data.cast::<A>()).alloc(layout).cast()
        },
        None => ptr::null_mut(),
    }
}

unsafe extern "C" fn deallocate<A: GlobalAlloc>(
    user_data: *mut c_void,
    data: *mut c_void,
    size: usize,
    alignment: usize,
) {
    if let Some(layout) = layout(size, alignment) {
        // SAFETY: `data` came from `allocate` with this layout.
        unsafe { (*user_data.cast::<A>()).dealloc(data.cast(), layout) }
    }
}
