//! The library's memory: a program of its own, as it must come first.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use peft::{set_allocator, ErrorId, Model};

/// Counts the bytes that are taken.
struct Counting(AtomicUsize);

// SAFETY: The system's, counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(data, layout) }
    }
}

#[test]
fn an_allocator_sees_what_the_library_takes() {
    static ALLOCATOR: Counting = Counting(AtomicUsize::new(0));
    set_allocator(&ALLOCATOR).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let base = root.join("examples/quickstart/base");
    let mut options = peft::ModelOptions::new()
        .read_mode(peft::ReadMode::Read)
        .num_threads(1);
    let model = Model::open_with(base, &mut options).unwrap();
    let size = usize::try_from(model.info().unwrap().size_bytes).unwrap();
    let taken = ALLOCATOR.0.load(Ordering::Relaxed);
    assert!(taken >= size, "{taken} of {size}");
    drop(model);
    let left = ALLOCATOR.0.load(Ordering::Relaxed);
    assert!(left < taken - size / 2, "{left} of {taken}");

    let error = set_allocator(&ALLOCATOR).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Allocator);
}
