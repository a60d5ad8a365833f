//! The library's log.

use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use peft_sys as sys;

use crate::constants::LogLevel;
use crate::error::{check, Result};
use crate::text::str_of;

type Logger = Box<dyn FnMut(LogLevel, &str) + Send>;

/// A closure that the library has a pointer to.
struct Lent(*mut Logger);

// SAFETY: The closure may go to other threads.
unsafe impl Send for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: Made by `Box::into_raw`, and the library's no more.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// The closure that lines go to now.
static LOGGER: Mutex<Option<Lent>> = Mutex::new(None);

/// Sends the library's log lines to `logger` instead of stderr, from any
/// thread, one at a time. It must not call this crate. Returns when no line is
/// on its way to the one before any more. A logger that panics loses its line;
/// the panic goes no further than the panic hook.
pub fn set_logger(logger: impl FnMut(LogLevel, &str) + Send + 'static) {
    let logger: *mut Logger = Box::into_raw(Box::new(Box::new(logger)));
    replace(Some(on_line), logger.cast(), Some(Lent(logger)));
}

/// Drops the library's log lines.
pub fn disable_log() {
    replace(None, ptr::null_mut(), None);
}

/// Drops all lines below `level`; at first `LogLevel::Info`, which drops none.
pub fn set_log_level(level: LogLevel) -> Result<()> {
    // SAFETY: Takes a number.
    check(unsafe { sys::peft_set_log_level(level.into()) })
}

fn replace(
    callback: sys::peft_log_fn,
    user_data: *mut c_void,
    logger: Option<Lent>,
) {
    let mut current = LOGGER.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: `logger` lives until the call after this one has returned.
    unsafe { sys::peft_set_logger(callback, user_data) };
    *current = logger;
}

unsafe extern "C" fn on_line(
    user_data: *mut c_void,
    level: i32,
    line: *const c_char,
) {
    // SAFETY: One call at a time; the line lives until this function returns.
    let (logger, line) =
        unsafe { (&mut *user_data.cast::<Logger>(), str_of(line)) };
    let line = line.unwrap_or_default();
    // A line may come from a thread that has no caller to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| logger(level.into(), line)));
}
