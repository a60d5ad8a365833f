//! What the library is.

use peft_sys as sys;

use crate::handle::out_struct;
use crate::text::str_of;

/// What the library is and can do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildInfo {
    /// [`api_version`].
    pub api_version: i32,
    /// "0.1.0".
    pub version: &'static str,
    /// "gcc 12.2.0".
    pub compiler: &'static str,
    /// The variant chosen on this machine: "avx512".
    pub cpu_kernels: &'static str,
    /// PEFT methods that can run, "LORA".
    pub methods: &'static str,
    /// Base models that can run, "llama,mistral,...".
    pub model_types: &'static str,
}

/// The API number of the header that this crate is made from.
pub const API_VERSION: i32 = sys::PEFT_API_VERSION;

/// The API number of the library that is loaded: at least [`API_VERSION`].
#[inline]
pub fn api_version() -> i32 {
    // SAFETY: Takes nothing.
    unsafe { sys::peft_api_version() }
}

/// What the library is and can do here.
pub fn build_info() -> BuildInfo {
    let mut raw = out_struct!(peft_build_info_t);
    // SAFETY: `raw` is the library's to write to; the texts live as long as
    // the process.
    let text = |text| unsafe { str_of(text) }.unwrap_or_default();
    unsafe { sys::peft_get_build_info(&mut raw) };
    BuildInfo {
        api_version: raw.api_version,
        version: text(raw.version),
        compiler: text(raw.compiler),
        cpu_kernels: text(raw.cpu_kernels),
        methods: text(raw.methods),
        model_types: text(raw.model_types),
    }
}
