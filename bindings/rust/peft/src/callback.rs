//! Closures of the program on the other side of C.

use std::any::Any;
use std::ffi::c_void;
use std::ops::ControlFlow;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

pub(crate) type Panic = Box<dyn Any + Send>;

/// Keeps a panic that must not unwind through C until the call has returned.
#[derive(Debug, Default)]
pub(crate) struct Caught(Mutex<Option<Panic>>);

impl Caught {
    /// Runs `f` and returns `None` where it panicked, or an earlier one did:
    /// the library is then to be told to stop.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        if self.lock().is_some() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(result) => Some(result),
            Err(panic) => {
                self.lock().get_or_insert(panic);
                None
            }
        }
    }

    /// A panic that was kept, to resume it.
    pub(crate) fn take(&self) -> Option<Panic> {
        self.lock().take()
    }

    /// Goes on with a panic that was kept.
    pub(crate) fn resume(&self) {
        if let Some(panic) = self.take() {
            resume_unwind(panic);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Panic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A closure that a call tells how far it is, and that may stop it. `F` is a
/// `dyn` type, which the callback on C's side can name.
pub(crate) struct Watcher<F: ?Sized> {
    function: Box<F>,
    caught: Caught,
}

impl<F: ?Sized> Watcher<F> {
    /// In a box, so that it stays where C was told that it is.
    pub(crate) fn new(function: Box<F>) -> Box<Self> {
        Box::new(Watcher { function, caught: Caught::default() })
    }

    /// What goes to C beside the callback. It must not be used once the watcher
    /// is gone or borrowed anew.
    pub(crate) fn user_data(&mut self) -> *mut c_void {
        (self as *mut Self).cast()
    }

    /// What a callback returns that was given this `user_data`; `f` hands the
    /// closure the callback's numbers.
    ///
    /// # Safety
    ///
    /// It is the `user_data` of a watcher of this type, and of no call that is
    /// still running.
    pub(crate) unsafe fn tell(
        user_data: *mut c_void,
        f: impl FnOnce(&mut F) -> ControlFlow<()>,
    ) -> i32 {
        // SAFETY: As above.
        let watcher = unsafe { &mut *user_data.cast::<Self>() };
        let Watcher { function, caught } = watcher;
        let answer = caught.run(|| f(function));
        i32::from(answer != Some(ControlFlow::Continue(())))
    }

    /// A panic of the closure that was kept, to resume it.
    pub(crate) fn take(&self) -> Option<Panic> {
        self.caught.take()
    }

    /// Goes on with a panic of the closure; after the call.
    pub(crate) fn resume(&self) {
        self.caught.resume();
    }
}

/// A [`Watcher`] that is told two numbers.
pub(crate) type PairWatcher<'a> =
    Watcher<dyn FnMut(i64, i64) -> ControlFlow<()> + 'a>;

/// The callback of calls whose user_data is a [`PairWatcher`]'s.
pub(crate) unsafe extern "C" fn watch(
    user_data: *mut c_void,
    first: i64,
    second: i64,
) -> i32 {
    // SAFETY: The watcher is borrowed for the call, on whose thread this is.
    unsafe { PairWatcher::tell(user_data, |function| function(first, second)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_kept_and_nothing_runs_after_it() {
        let caught = Caught::default();
        assert_eq!(caught.run(|| 1), Some(1));
        assert_eq!(caught.run(|| -> i32 { panic!("on purpose") }), None);
        assert_eq!(caught.run(|| 2), None);
        let panic = catch_unwind(AssertUnwindSafe(|| caught.resume()));
        let panic = panic.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert_eq!(caught.run(|| 3), Some(3));
    }
}
