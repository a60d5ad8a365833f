//! Verbs for adapters that the mixin has not.

use std::path::{Path, PathBuf};
use std::ptr;

use peft_sys as sys;

use crate::adapter_options::SaveOptions;
use crate::error::{check, Result};
use crate::file::File;
use crate::handle::out_struct;
use crate::load_options::LoadOptions;
use crate::load_report::LoadReport;
use crate::model::Model;
use crate::state_dict::StateDict;
use crate::text::{
    str_of, take_string, with_optional_text, with_path, with_text,
};

/// Facts of a loaded adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// "LORA".
    pub peft_type: &'static str,
    /// Tells apart what was ever loaded under the name; over 0.
    pub generation: u64,
    /// The largest rank of a layer; 0 for methods without one.
    pub rank: i64,
    /// The elements of its tensors.
    pub num_parameters: i64,
    /// The bytes of memory that it takes.
    pub size_bytes: i64,
    /// The number of layers that it changes.
    pub num_sites: i64,
    /// What [`Model::set_scale`] set; at first 1.
    pub scale: f32,
    /// It is among the active ones, also while adapters are disabled.
    pub is_active: bool,
    /// [`Model::pin_adapter`].
    pub is_pinned: bool,
    /// It was loaded as trainable, or made by [`Model::add_adapter`].
    pub is_trainable: bool,
}

/// What the mixin has not.
impl Model {
    /// Writes an adapter as the folder `path`, which Python PEFT loads to the
    /// same tensors. The folder appears whole or not at all; its parent must
    /// exist.
    pub fn save_adapter<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        path: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<()> {
        let options = options.raw()?;
        with_optional_text(name.into(), |name| {
            with_path(path.as_ref(), |path| {
                let save = sys::peft_model_save_adapter;
                // SAFETY: All is valid for the call.
                check(unsafe { save(self.as_raw(), name, path, options) })
            })
        })
    }

    /// Facts of an adapter.
    pub fn adapter_info<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
    ) -> Result<AdapterInfo> {
        let mut raw = out_struct!(peft_adapter_info_t);
        with_optional_text(name.into(), |name| {
            let get = sys::peft_model_get_adapter_info;
            // SAFETY: All is valid for the call.
            check(unsafe { get(self.as_raw(), name, &mut raw) })
        })?;
        Ok(AdapterInfo {
            // SAFETY: The text lives as long as the process.
            peft_type: unsafe { str_of(raw.peft_type) }.unwrap_or_default(),
            generation: raw.generation,
            rank: raw.rank,
            num_parameters: raw.num_parameters,
            size_bytes: raw.size_bytes,
            num_sites: raw.num_sites,
            scale: raw.scale,
            is_active: raw.is_active != 0,
            is_pinned: raw.is_pinned != 0,
            is_trainable: raw.is_trainable != 0,
        })
    }

    /// The folder that an adapter was loaded from, that in the cache for one of
    /// the Hub, "" for one that came from memory.
    pub fn adapter_source<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
    ) -> Result<PathBuf> {
        let mut raw = ptr::null_mut();
        with_optional_text(name.into(), |name| {
            let get = sys::peft_model_get_adapter_source;
            // SAFETY: All is valid for the call.
            check(unsafe { get(self.as_raw(), name, &mut raw) })
        })?;
        Ok(take_string(raw).into())
    }

    /// The `adapter_config.json` that [`save_adapter`](Model::save_adapter)
    /// writes.
    pub fn adapter_config<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
    ) -> Result<String> {
        let mut raw = ptr::null_mut();
        with_optional_text(name.into(), |name| {
            let get = sys::peft_model_get_adapter_config;
            // SAFETY: All is valid for the call.
            check(unsafe { get(self.as_raw(), name, &mut raw) })
        })?;
        Ok(take_string(raw))
    }

    /// Whether an adapter of this name is loaded.
    #[inline]
    pub fn has_adapter(&self, name: &str) -> Result<bool> {
        let mut has = 0;
        with_text(name, |name| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_model_has_adapter(self.as_raw(), name, &mut has)
            })
        })?;
        Ok(has != 0)
    }

    /// Gives an adapter another name. What is active stays so.
    pub fn rename_adapter(&self, name: &str, new_name: &str) -> Result<()> {
        with_text(name, |name| {
            with_text(new_name, |new_name| {
                let rename = sys::peft_model_rename_adapter;
                // SAFETY: All is valid for the call.
                check(unsafe { rename(self.as_raw(), name, new_name) })
            })
        })
    }

    /// Puts the adapter in the folder, or of the Hub id, `path` in the place of
    /// adapter `name`: under its name, among the active ones where it is one,
    /// with its scales. Forwards that run keep the old generation.
    pub fn replace_adapter(
        &self,
        name: &str,
        path: impl AsRef<Path>,
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        with_text(name, |name| {
            with_path(path.as_ref(), |path| {
                let replace = sys::peft_model_replace_adapter;
                options.run(|options| {
                    // SAFETY: All is valid for the call.
                    LoadReport::of(|out| unsafe {
                        replace(self.as_raw(), name, path, options, out)
                    })
                })
            })
        })
    }

    /// The same with an adapter as
    /// [`load_adapter_from_memory`](Model::load_adapter_from_memory) takes it.
    pub fn replace_adapter_from_memory(
        &self,
        name: &str,
        config_json: &str,
        state_dict: &StateDict,
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        let dict = state_dict.as_raw();
        with_text(name, |name| {
            with_text(config_json, |json| {
                let replace = sys::peft_model_replace_adapter_from_memory;
                options.run(|options| {
                    // SAFETY: All is valid for the call.
                    LoadReport::of(|out| unsafe {
                        replace(self.as_raw(), name, json, dict, options, out)
                    })
                })
            })
        })
    }

    /// The same with an adapter as
    /// [`load_adapter_files`](Model::load_adapter_files) takes it.
    pub fn replace_adapter_files(
        &self,
        name: &str,
        files: &mut [File<'_>],
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        with_text(name, |name| {
            let replace = sys::peft_model_replace_adapter;
            options.run_on(files, |options| {
                // SAFETY: All is valid for the call.
                LoadReport::of(|out| unsafe {
                    replace(self.as_raw(), name, ptr::null(), options, out)
                })
            })
        })
    }

    /// Multiplies all that an adapter adds by `scale`, wherever it is active,
    /// whatever was set before.
    pub fn set_scale(&self, name: &str, scale: f32) -> Result<()> {
        with_text(name, |name| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_model_set_scale(self.as_raw(), name, scale)
            })
        })
    }

    /// Limits the loaded adapters, their bytes and their number; 0: no limit. A
    /// load that would go over it evicts the adapters whose last use is longest
    /// ago, but none that is active, pinned, trainable or named by an
    /// [`Activation`](crate::Activation).
    pub fn set_adapter_limit(
        &self,
        max_bytes: i64,
        max_adapters: i64,
    ) -> Result<()> {
        let limit = sys::peft_model_set_adapter_limit;
        // SAFETY: The handle is good.
        check(unsafe { limit(self.as_raw(), max_bytes, max_adapters) })
    }

    /// Says whether an adapter is never evicted.
    pub fn pin_adapter(&self, name: &str, pinned: bool) -> Result<()> {
        with_text(name, |name| {
            let pin = sys::peft_model_pin_adapter;
            // SAFETY: All is valid for the call.
            check(unsafe { pin(self.as_raw(), name, pinned.into()) })
        })
    }
}
