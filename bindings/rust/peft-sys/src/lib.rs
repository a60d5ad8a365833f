//! Raw declarations of `peft_c.h`: what is declared here means what it means
//! there. So far what opening, loading, switching and generating need.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::marker::{PhantomData, PhantomPinned};

macro_rules! handles {
    ($($name:ident)*) => {$(
        /// A handle; never dereferenced, and free to move between threads.
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
            _marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}
handles!(peft_status_t peft_model_t peft_load_report_t peft_session_t
         peft_generate_result_t peft_model_options_t peft_load_options_t
         peft_set_adapter_options_t peft_session_options_t);

#[repr(C)]
pub struct peft_forward_input_t {
    pub struct_size: usize,
    pub ids: *const i64,
    pub batch: i64,
    pub length: i64,
    pub attention_mask: *const i64,
    pub position_ids: *const i64,
}

pub type peft_token_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, row: i64, token: i64) -> i32>;

#[repr(C)]
pub struct peft_generate_options_t {
    pub struct_size: usize,
    pub max_new_tokens: i64,
    pub do_sample: i32,
    pub temperature: f32,
    pub top_k: i64,
    pub top_p: f32,
    pub min_p: f32,
    pub repetition_penalty: f32,
    pub seed: u64,
    pub eos_token_ids: *const i64,
    pub num_eos_token_ids: usize,
    pub ignore_eos: i32,
    pub stop_tokens: *const i64,
    pub stop_sequence_lengths: *const usize,
    pub num_stop_sequences: usize,
    pub on_token: peft_token_fn,
    pub user_data: *mut c_void,
}

extern "C" {
    pub fn peft_api_version() -> i32;

    pub fn peft_status_code(status: *const peft_status_t) -> i32;
    pub fn peft_status_id(status: *const peft_status_t) -> *const c_char;
    pub fn peft_status_message(status: *const peft_status_t) -> *const c_char;
    pub fn peft_status_free(status: *mut peft_status_t);

    #[must_use]
    pub fn peft_model_open(
        path: *const c_char,
        options: *const peft_model_options_t,
        out_model: *mut *mut peft_model_t,
    ) -> *mut peft_status_t;
    pub fn peft_model_free(model: *mut peft_model_t);
    #[must_use]
    pub fn peft_model_load_adapter(
        model: *mut peft_model_t,
        name: *const c_char,
        path: *const c_char,
        options: *const peft_load_options_t,
        out_report: *mut *mut peft_load_report_t,
    ) -> *mut peft_status_t;
    #[must_use]
    pub fn peft_model_set_adapter(
        model: *mut peft_model_t,
        names: *const *const c_char,
        num_names: usize,
        options: *const peft_set_adapter_options_t,
    ) -> *mut peft_status_t;
    #[must_use]
    pub fn peft_model_disable_adapters(model: *mut peft_model_t) -> *mut peft_status_t;

    #[must_use]
    pub fn peft_session_create(
        model: *const peft_model_t,
        options: *const peft_session_options_t,
        out_session: *mut *mut peft_session_t,
    ) -> *mut peft_status_t;
    pub fn peft_session_free(session: *mut peft_session_t);
    pub fn peft_forward_input_init(input: *mut peft_forward_input_t, struct_size: usize);
    pub fn peft_generate_options_init(options: *mut peft_generate_options_t, struct_size: usize);
    #[must_use]
    pub fn peft_session_generate(
        session: *mut peft_session_t,
        input: *const peft_forward_input_t,
        options: *const peft_generate_options_t,
        out_result: *mut *mut peft_generate_result_t,
    ) -> *mut peft_status_t;
    pub fn peft_generate_result_tokens(
        result: *const peft_generate_result_t,
        row: usize,
        out_num_tokens: *mut usize,
    ) -> *const i64;
    pub fn peft_generate_result_free(result: *mut peft_generate_result_t);
}
