//! How adapters are made, set, saved, merged, combined and probed.

use std::ptr;

use peft_sys as sys;

use crate::constants::{Combination, MajoritySign};
use crate::error::{Error, Result};
use crate::handle::{default_struct, setters, text_setters};
use crate::text::TextPool;

/// Declares options that are numbers only.
macro_rules! plain_options {
    ($($(#[$doc:meta])* $name:ident($raw:ident, $init:ident) {
        $($fields:tt)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            raw: sys::$raw,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { raw: default_struct!($raw, $init) }
            }
        }

        impl $name {
            /// All defaults.
            pub fn new() -> Self {
                Self::default()
            }

            pub(crate) fn raw(&self) -> *const sys::$raw {
                &self.raw
            }

            setters! { $($fields)* }
        }
    )*};
}

plain_options! {
    /// How a new adapter is made.
    AddAdapterOptions(
        peft_add_adapter_options_t, peft_add_adapter_options_init
    ) {
        /// Seeds torch's generator, from which the factors are drawn as
        /// `torch.manual_seed` and PEFT do. Default 0.
        seed: u64,
    }

    /// How an adapter is probed.
    ProbeOptions(peft_probe_options_t, peft_probe_options_init) {
        /// Equal seeds give equal inputs. Default 0.
        seed: u64,
        /// The rows of random input that each layer gets, 1 to 4096. Default
        /// 16.
        rows: i64,
    }
}

/// How adapters act together.
#[derive(Debug, Clone)]
pub struct SetAdapterOptions<'a> {
    raw: sys::peft_set_adapter_options_t,
    scales: Option<&'a [f32]>,
}

impl Default for SetAdapterOptions<'_> {
    fn default() -> Self {
        let raw = default_struct!(
            peft_set_adapter_options_t,
            peft_set_adapter_options_init
        );
        SetAdapterOptions { raw, scales: None }
    }
}

impl<'a> SetAdapterOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// One finite number per name, multiplied with the adapter's own scale; 0
    /// and negative ones are allowed. Default: all 1.
    pub fn scales(mut self, scales: &'a [f32]) -> Self {
        self.scales = Some(scales);
        self.raw.scales = scales_of(self.scales);
        self
    }

    pub(crate) fn raw(
        &self,
        num_names: usize,
    ) -> Result<*const sys::peft_set_adapter_options_t> {
        check_scales(self.scales, num_names)?;
        Ok(&self.raw)
    }
}

/// How adapters are merged.
#[derive(Debug, Clone)]
pub struct MergeOptions<'a> {
    raw: sys::peft_merge_options_t,
    scales: Option<&'a [f32]>,
}

impl Default for MergeOptions<'_> {
    fn default() -> Self {
        let raw =
            default_struct!(peft_merge_options_t, peft_merge_options_init);
        MergeOptions { raw, scales: None }
    }
}

impl<'a> MergeOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// One finite number per name, multiplied with the adapter's own scale.
    /// Default: those that active adapters act with now, 1 for the others.
    pub fn scales(mut self, scales: &'a [f32]) -> Self {
        self.scales = Some(scales);
        self.raw.scales = scales_of(self.scales);
        self
    }

    setters! {
        /// A merged weight that is NaN or infinite is `MergeNotFinite`, and
        /// nothing has changed. Default false: it is taken.
        safe_merge: bool,
    }

    pub(crate) fn raw(
        &self,
        num_names: usize,
    ) -> Result<*const sys::peft_merge_options_t> {
        check_scales(self.scales, num_names)?;
        Ok(&self.raw)
    }
}

/// The field for these scales: C reads as many as there are names.
pub(crate) fn scales_of(scales: Option<&[f32]>) -> *const f32 {
    scales.map_or(ptr::null(), <[f32]>::as_ptr)
}

pub(crate) fn check_scales(
    scales: Option<&[f32]>,
    num_names: usize,
) -> Result<()> {
    match scales {
        Some(scales) if scales.len() != num_names => {
            let expected = format!("one for each of {num_names} names");
            let found = format!("{} numbers", scales.len());
            Err(Error::argument("scales", expected, found))
        }
        _ => Ok(()),
    }
}

/// How an adapter is saved.
#[derive(Debug)]
pub struct SaveOptions {
    raw: sys::peft_save_options_t,
    texts: TextPool,
}

impl Default for SaveOptions {
    fn default() -> Self {
        let raw = default_struct!(peft_save_options_t, peft_save_options_init);
        SaveOptions { raw, texts: TextPool::default() }
    }
}

impl SaveOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Replaces the adapter that is at the path; other files in its folder
        /// stay. Default false: a folder that is not empty is `AlreadyExists`.
        overwrite: bool,
    }

    text_setters! {
        /// Of an adapter whose init takes something from the base (pissa, olora
        /// and others): the folder of the adapter as it was before training.
        /// What is written is then a plain LoRA of twice the rank for the base
        /// as it was. Default: the adapter as it is.
        path_initial_model_for_weight_conversion: &str,
    }

    pub(crate) fn raw(&self) -> Result<*const sys::peft_save_options_t> {
        self.texts.check()?;
        Ok(&self.raw)
    }
}

/// How adapters are combined.
#[derive(Debug)]
pub struct CombineOptions {
    raw: sys::peft_combine_options_t,
    texts: TextPool,
}

impl Default for CombineOptions {
    fn default() -> Self {
        let raw =
            default_struct!(peft_combine_options_t, peft_combine_options_init);
        CombineOptions { raw, texts: TextPool::default() }
    }
}

impl CombineOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// How. Default `Combination::Svd`, PEFT's own.
        combination_type: Combination,
        /// How signs are voted on. Default `MajoritySign::Total`.
        majority_sign_method: MajoritySign,
        /// The rank of the types with `Svd`. Default 0: the largest of the
        /// sources.
        svd_rank: i64,
        /// The quantile of their elements that they are clamped to, over 0 and
        /// up to 1. Default 0: they are not.
        svd_clamp: f32,
        /// The part of the elements that ties, dare and magnitude_prune keep,
        /// over 0 and up to 1. Default 0: not set, which these types refuse.
        density: f32,
        /// Seeds torch's generator for dare. Default 0.
        seed: u64,
        /// PEFT hands this and `svd_driver` on to torch's decomposition. They
        /// choose an algorithm, not a result, and are without effect here.
        /// Default true.
        svd_full_matrices: bool,
    }

    text_setters! {
        /// "gesvd", "gesvdj" or "gesvda"; see `svd_full_matrices`.
        svd_driver: &str,
    }

    pub(crate) fn raw(&self) -> Result<*const sys::peft_combine_options_t> {
        self.texts.check()?;
        Ok(&self.raw)
    }
}
