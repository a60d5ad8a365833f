//! Opens the quickstart's base model, loads two adapters, switches, generates.
//! usage: switch_adapters BASE ADAPTERS
use peft_sys::*;
use std::ffi::{CStr, CString};
use std::mem::{size_of, zeroed};
use std::ptr::{null, null_mut};

/// The character that each token of this model stands for.
const TEXT: &[u8] = b"???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM";

unsafe fn check(status: *mut peft_status_t) -> Result<(), String> {
    if status.is_null() {
        return Ok(());
    }
    let message = CStr::from_ptr(peft_status_message(status)).to_string_lossy().into_owned();
    peft_status_free(status);
    Err(message)
}

/// Prints how the active adapter writes 1987.
unsafe fn answer(session: *mut peft_session_t, name: &str) -> Result<(), String> {
    let prompt: [i64; 6] = [1, 4, 12, 11, 10, 13]; // <bos> 1 9 8 7 =
    let mut input: peft_forward_input_t = zeroed();
    peft_forward_input_init(&mut input, size_of::<peft_forward_input_t>());
    (input.ids, input.batch, input.length) = (prompt.as_ptr(), 1, 6);
    let mut options: peft_generate_options_t = zeroed();
    peft_generate_options_init(&mut options, size_of::<peft_generate_options_t>());
    options.max_new_tokens = 64;
    let (mut result, mut size) = (null_mut(), 0);
    check(peft_session_generate(session, &input, &options, &mut result))?;
    let tokens = peft_generate_result_tokens(result, 0, &mut size);
    let text = (0..size - 1).map(|i| TEXT[*tokens.add(i) as usize] as char);
    println!("{name}: {}", text.collect::<String>());
    peft_generate_result_free(result);
    Ok(())
}

unsafe fn run(base: &str, adapters: &str) -> Result<(), String> {
    let text = |text: String| CString::new(text).unwrap();
    let (mut model, mut session) = (null_mut(), null_mut());
    check(peft_model_open(text(base.into()).as_ptr(), null(), &mut model))?;
    check(peft_session_create(model, null(), &mut session))?;
    answer(session, "base")?;
    for name in ["german", "roman"] {
        let path = text(format!("{adapters}/{name}"));
        let key = text(name.into());
        check(peft_model_load_adapter(model, key.as_ptr(), path.as_ptr(), null(), null_mut()))?;
        answer(session, name)?;
    }
    let german = text("german".into());
    check(peft_model_set_adapter(model, &german.as_ptr(), 1, null()))?;
    answer(session, "german")?;
    check(peft_model_disable_adapters(model))?;
    answer(session, "base")?;
    peft_session_free(session);
    peft_model_free(model);
    Ok(())
}

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().collect();
    unsafe { run(&args[1], &args[2]) }
}
