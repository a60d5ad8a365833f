//! Closures, also those that panic.

use std::ops::ControlFlow;
use std::panic::{catch_unwind, AssertUnwindSafe};

use peft::{Code, ForwardInput, GenerateOptions, MergeAndUnloadOptions};

use crate::common::{answer, base, model, TempDir, PROMPT};

/// What `f` panics with.
pub fn panic_of<R>(f: impl FnOnce() -> R) -> &'static str {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    panic.downcast_ref::<&str>().copied().expect("a text")
}

#[test]
fn tokens_are_seen_as_they_come() {
    let model = base();
    let mut session = model.session().unwrap();
    let expected = answer(&mut session);
    let mut seen = Vec::new();
    let mut options =
        GenerateOptions::new().max_new_tokens(64).on_token(|row, token| {
            assert_eq!(row, 0);
            // The model may be asked meanwhile.
            assert!(model.list_adapters().unwrap().is_empty());
            seen.push(token);
            ControlFlow::Continue(())
        });
    session.generate(&ForwardInput::row(&PROMPT), &mut options).unwrap();
    drop(options);
    assert_eq!(seen, expected);
}

#[test]
fn a_closure_can_cancel() {
    let model = base();
    let mut session = model.session().unwrap();
    let mut count = 0;
    let mut options = GenerateOptions::new().on_token(|_, _| {
        count += 1;
        match count {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    let input = ForwardInput::row(&PROMPT);
    let error = session.generate(&input, &mut options).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    drop(options);
    assert_eq!(count, 3);
}

#[test]
fn a_panic_goes_on_after_the_call_and_the_session_too() {
    let model = base();
    let mut session = model.session().unwrap();
    let expected = answer(&mut session);
    let mut count = 0;
    let mut options = GenerateOptions::new().on_token(|_, _| {
        count += 1;
        panic!("of the token")
    });
    let input = ForwardInput::row(&PROMPT);
    let panic = panic_of(|| session.generate(&input, &mut options));
    assert_eq!(panic, "of the token");
    drop(options);
    assert_eq!(count, 1);
    assert_eq!(answer(&mut session), expected);
}

#[test]
fn a_panic_of_progress_goes_on_after_the_call() {
    let model = model(&["german"]);
    let folder = TempDir::new();
    let path = folder.join("merged");
    let mut options = MergeAndUnloadOptions::new()
        .on_progress(|_, _| panic!("of the progress"));
    let panic = panic_of(|| model.merge_and_unload(&path, &mut options));
    assert_eq!(panic, "of the progress");
    assert!(!path.exists());
}
