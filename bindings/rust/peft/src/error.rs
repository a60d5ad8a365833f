//! Failures, with the id that programs decide by.

use std::fmt;

use peft_sys as sys;

use crate::constants::Code;
use crate::error_id::ErrorId;
use crate::text::str_of;

/// What calls of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: what is at fault, what was expected and found, and what to do.
/// After it everything is as it was before the call.
///
/// ```
/// use peft::{Code, ErrorId, Model};
///
/// let error = Model::open("no/such/folder/at/all").unwrap_err();
/// assert_eq!(error.code(), Code::NotFound);
/// assert_eq!(error.id(), &ErrorId::FileNotFound);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    code: Code,
    id: ErrorId,
    message: String,
    subject: String,
    expected: String,
    found: String,
}

impl Error {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The stable id; `docs/errors.md` lists them with causes and cures.
    pub fn id(&self) -> &ErrorId {
        &self.0.id
    }

    /// A sentence that names the thing and says what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The tensor, config key or file that is wrong; "" where there is none.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What was expected of the subject, as text such as "\[8, 128\]"; "" where
    /// that does not apply.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What was found instead; "" where that does not apply.
    pub fn found(&self) -> &str {
        &self.0.found
    }

    /// What the library refuses with the id "ARGUMENT", seen on this side.
    pub(crate) fn argument(
        subject: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Error(Box::new(Parts {
            code: Code::InvalidArgument,
            id: ErrorId::Argument,
            message: format!("{subject} is {found}, expected {expected}"),
            subject: subject.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }))
    }

    /// A text that C cannot have.
    pub(crate) fn text(text: &str, what: &str) -> Self {
        Error(Box::new(Parts {
            code: Code::InvalidArgument,
            id: ErrorId::Utf8,
            message: format!("the text {text:?} {what}"),
            subject: text.into(),
            expected: String::new(),
            found: String::new(),
        }))
    }

    /// Takes a status that is not null over.
    #[cold]
    fn take(status: *mut sys::peft_status_t) -> Self {
        // SAFETY: The texts live until the status is freed, at the end.
        unsafe {
            let text = |text| str_of(text).unwrap_or_default();
            let parts = Parts {
                code: sys::peft_status_code(status).into(),
                id: text(sys::peft_status_id(status)).into(),
                message: text(sys::peft_status_message(status)).into(),
                subject: text(sys::peft_status_subject(status)).into(),
                expected: text(sys::peft_status_expected(status)).into(),
                found: text(sys::peft_status_found(status)).into(),
            };
            sys::peft_status_free(status);
            Error(Box::new(parts))
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.id)
    }
}

impl std::error::Error for Error {}

/// Turns what a function of the header returns into a `Result`.
#[inline]
pub(crate) fn check(status: *mut sys::peft_status_t) -> Result<()> {
    if status.is_null() {
        Ok(())
    } else {
        Err(Error::take(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_says_what_was_expected_and_found() {
        let error = Error::argument("batch", "at least 1", 0);
        assert_eq!(error.id(), &ErrorId::Argument);
        assert_eq!(error.message(), "batch is 0, expected at least 1");
        assert_eq!(
            error.to_string(),
            format!("{} (ARGUMENT)", error.message())
        );
        assert_eq!((error.expected(), error.found()), ("at least 1", "0"));
    }

    #[test]
    fn null_is_success() {
        assert_eq!(check(std::ptr::null_mut()), Ok(()));
    }
}
