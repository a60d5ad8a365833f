//! Texts on their way to C and back.

use std::ffi::{c_char, CStr, CString};
use std::path::Path;
use std::ptr;

use peft_sys as sys;

use crate::error::{Error, Result};

/// Texts up to this size, with their NUL, go to C by way of the stack.
const STACK_SIZE: usize = 256;

/// Calls `f` with `text` as C has it, which is valid until `f` returns.
#[inline]
pub(crate) fn with_text<R>(
    text: &str,
    f: impl FnOnce(*const c_char) -> Result<R>,
) -> Result<R> {
    if text.len() >= STACK_SIZE {
        return f(c_string(text)?.as_ptr());
    }
    if text.as_bytes().contains(&0) {
        return Err(has_nul(text));
    }
    let mut buffer = [0_u8; STACK_SIZE];
    buffer[..text.len()].copy_from_slice(text.as_bytes());
    f(buffer.as_ptr().cast())
}

/// The same with null for `None`.
#[inline]
pub(crate) fn with_optional_text<R>(
    text: Option<&str>,
    f: impl FnOnce(*const c_char) -> Result<R>,
) -> Result<R> {
    match text {
        Some(text) => with_text(text, f),
        None => f(ptr::null()),
    }
}

/// The same for a path, which `peft_c.h` has as UTF-8.
pub(crate) fn with_path<R>(
    path: &Path,
    f: impl FnOnce(*const c_char) -> Result<R>,
) -> Result<R> {
    match path.to_str() {
        Some(text) => with_text(text, f),
        None => Err(Error::text(&path.to_string_lossy(), "is not UTF-8")),
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| has_nul(text))
}

#[cold]
fn has_nul(text: &str) -> Error {
    Error::text(text, "has a NUL inside")
}

/// A text of the library, `None` for null.
///
/// # Safety
///
/// `text` is null or a C text that lives for `'a`.
pub(crate) unsafe fn str_of<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: As the caller promises.
    let bytes = unsafe { CStr::from_ptr(text) };
    Some(bytes.to_str().expect("peft_c.h promises UTF-8"))
}

/// Copies a text of the library and frees it.
pub(crate) fn take_string(string: *mut sys::peft_string_t) -> String {
    // SAFETY: The data live until the string is freed.
    unsafe {
        let data = sys::peft_string_data(string).cast::<u8>();
        let size = sys::peft_string_size(string);
        let bytes = std::slice::from_raw_parts(data, size).to_vec();
        sys::peft_string_free(string);
        String::from_utf8(bytes).expect("peft_c.h promises UTF-8")
    }
}

/// Texts and arrays of texts as the fields of options have them. They live as
/// long as it does, wherever it is moved. The first text that C cannot have is
/// the error of the call that the options are for.
#[derive(Debug, Default)]
pub(crate) struct TextPool {
    texts: Vec<CString>,
    arrays: Vec<Box<[*const c_char]>>,
    error: Option<Error>,
}

impl TextPool {
    pub(crate) fn text(&mut self, text: &str) -> *const c_char {
        match c_string(text) {
            Ok(text) => {
                self.texts.push(text);
                self.texts[self.texts.len() - 1].as_ptr()
            }
            Err(error) => {
                self.error.get_or_insert(error);
                ptr::null()
            }
        }
    }

    /// Makes an array of as many texts.
    pub(crate) fn array<'t>(
        &mut self,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> *const *const c_char {
        let array: Box<[_]> =
            texts.into_iter().map(|text| self.text(text)).collect();
        self.arrays.push(array);
        self.arrays[self.arrays.len() - 1].as_ptr()
    }

    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match &self.error {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }
}

/// Calls `f` with `names` as an array of C.
pub(crate) fn with_names<R>(
    names: &[&str],
    f: impl FnOnce(*const *const c_char, usize) -> Result<R>,
) -> Result<R> {
    let mut pool = TextPool::default();
    let array = pool.array(names.iter().copied());
    pool.check()?;
    f(array, names.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorId;

    fn round_trip(text: &str) -> Result<String> {
        // SAFETY: The pointer is valid for the call.
        with_text(text, |c| Ok(unsafe { str_of(c) }.unwrap().to_owned()))
    }

    #[test]
    fn short_and_long_texts_arrive_whole() {
        for size in [0, 1, 255, 256, 257, 5000] {
            let text = "x".repeat(size);
            assert_eq!(round_trip(&text).unwrap(), text);
        }
    }

    #[test]
    fn a_nul_inside_is_an_error() {
        for text in ["a\0b".to_owned(), format!("{}\0", "x".repeat(300))] {
            assert_eq!(round_trip(&text).unwrap_err().id(), &ErrorId::Utf8);
        }
    }

    #[test]
    fn a_pool_keeps_its_first_error() {
        let mut pool = TextPool::default();
        pool.text("good");
        pool.text("first\0");
        pool.array(["second\0"]);
        assert_eq!(pool.check().unwrap_err().subject(), "first\0");
    }
}
