//! The verbs of transformers' `PeftAdapterMixin`, and what it has not.
//!
//! Where a name is `impl Into<Option<&str>>`, `None` means the first active
//! adapter, or for a load "default".

use std::path::{Path, PathBuf};
use std::ptr;

use peft_sys as sys;

use crate::adapter_options::{
    AddAdapterOptions, SaveOptions, SetAdapterOptions,
};
use crate::error::{check, Result};
use crate::handle::out_struct;
use crate::load_options::LoadOptions;
use crate::load_report::LoadReport;
use crate::model::Model;
use crate::names::Names;
use crate::state_dict::StateDict;
use crate::text::{
    str_of, take_string, with_names, with_optional_text, with_path, with_text,
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

/// What an adapter will take before it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterEstimate {
    /// The bytes of memory once it is loaded, at most.
    pub size_bytes: i64,
    /// The bytes of the file that holds its tensors.
    pub file_bytes: i64,
    /// The elements of all tensors.
    pub num_parameters: i64,
    /// Their number.
    pub num_tensors: i64,
}

/// PeftAdapterMixin's verbs.
impl Model {
    /// Loads the PEFT folder, or the Hub id, `path` under `name` and makes it
    /// the only active adapter. Strict: whatever would make the result differ
    /// from Python's is an error that names it, and the model is then
    /// unchanged. Running forwards are not disturbed.
    pub fn load_adapter<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        path: impl AsRef<Path>,
    ) -> Result<LoadReport> {
        self.load_adapter_with(name, path, &mut LoadOptions::new())
    }

    /// The same with options.
    pub fn load_adapter_with<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        path: impl AsRef<Path>,
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        with_optional_text(name.into(), |name| {
            with_path(path.as_ref(), |path| {
                let load = sys::peft_model_load_adapter;
                options.run(|options| {
                    // SAFETY: All is valid for the call.
                    LoadReport::of(|out| unsafe {
                        load(self.as_raw(), name, path, options, out)
                    })
                })
            })
        })
    }

    /// The same from the text of an `adapter_config.json` and the tensors that
    /// would lie beside it, which are shared, not copied. Options that say
    /// where an adapter comes from are refused.
    pub fn load_adapter_from_memory<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        config_json: &str,
        state_dict: &StateDict,
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        let dict = state_dict.as_raw();
        with_optional_text(name.into(), |name| {
            with_text(config_json, |json| {
                let load = sys::peft_model_load_adapter_from_memory;
                options.run(|options| {
                    // SAFETY: All is valid for the call.
                    LoadReport::of(|out| unsafe {
                        load(self.as_raw(), name, json, dict, options, out)
                    })
                })
            })
        })
    }

    /// Makes a fresh adapter, as PEFT's `get_peft_model` does after
    /// `torch.manual_seed(seed)`, and makes it the only active one. It is
    /// trainable. `config_json` is the text of an `adapter_config.json`; only
    /// `peft_type` must be there.
    pub fn add_adapter<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        config_json: &str,
        options: &AddAdapterOptions,
    ) -> Result<()> {
        with_optional_text(name.into(), |name| {
            with_text(config_json, |json| {
                let options = options.raw();
                // SAFETY: All is valid for the call.
                check(unsafe {
                    sys::peft_model_add_adapter(
                        self.as_raw(),
                        name,
                        json,
                        options,
                    )
                })
            })
        })
    }

    /// Makes exactly these adapters active, in this order; their effects add
    /// up. With none the base model runs. Does not enable disabled adapters.
    pub fn set_adapter(&self, names: &[&str]) -> Result<()> {
        self.set_adapter_with(names, &SetAdapterOptions::new())
    }

    /// The same with options: each with a scale.
    pub fn set_adapter_with(
        &self,
        names: &[&str],
        options: &SetAdapterOptions<'_>,
    ) -> Result<()> {
        let options = options.raw(names.len())?;
        with_names(names, |names, count| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_model_set_adapter(
                    self.as_raw(),
                    names,
                    count,
                    options,
                )
            })
        })
    }

    /// Makes forwards run the base model, exactly. Which adapters are active is
    /// remembered.
    pub fn disable_adapters(&self) -> Result<()> {
        // SAFETY: The handle is good.
        check(unsafe { sys::peft_model_disable_adapters(self.as_raw()) })
    }

    /// Undoes [`disable_adapters`](Model::disable_adapters).
    pub fn enable_adapters(&self) -> Result<()> {
        // SAFETY: The handle is good.
        check(unsafe { sys::peft_model_enable_adapters(self.as_raw()) })
    }

    /// The active adapters in order, also while they are disabled.
    pub fn active_adapters(&self) -> Result<Names> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is the library's to write to.
        check(unsafe {
            sys::peft_model_active_adapters(self.as_raw(), &mut raw)
        })?;
        Ok(Names::from_new(raw))
    }

    /// All loaded adapters, in load order.
    pub fn list_adapters(&self) -> Result<Names> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is the library's to write to.
        check(unsafe {
            sys::peft_model_list_adapters(self.as_raw(), &mut raw)
        })?;
        Ok(Names::from_new(raw))
    }

    /// The tensors of an adapter under the names that `get_adapter_state_dict`
    /// gives them in Python.
    pub fn adapter_state_dict<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
    ) -> Result<StateDict> {
        let mut raw = ptr::null_mut();
        with_optional_text(name.into(), |name| {
            let get = sys::peft_model_get_adapter_state_dict;
            // SAFETY: All is valid for the call.
            check(unsafe { get(self.as_raw(), name, &mut raw) })
        })?;
        Ok(StateDict::from_new(raw))
    }

    /// Deletes these adapters, all or none. Forwards that run finish with what
    /// they began with. Fails with `AdapterNotFound` naming all unknown ones.
    pub fn delete_adapter(&self, names: &[&str]) -> Result<()> {
        with_names(names, |names, count| {
            // SAFETY: The array is valid for the call.
            check(unsafe {
                sys::peft_model_delete_adapter(self.as_raw(), names, count)
            })
        })
    }
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
        with_optional_text(name.into(), |name| {
            with_path(path.as_ref(), |path| {
                let (save, options) =
                    (sys::peft_model_save_adapter, options.raw());
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

/// The folder that [`Model::load_adapter_with`] would load `path` from, fetched
/// where it is of the Hub.
pub fn fetch_adapter(
    path: impl AsRef<Path>,
    options: &mut LoadOptions<'_>,
) -> Result<PathBuf> {
    with_path(path.as_ref(), |path| {
        options.run(|options| {
            let mut raw = ptr::null_mut();
            // SAFETY: All is valid for the call.
            check(unsafe { sys::peft_fetch_adapter(path, options, &mut raw) })?;
            Ok(take_string(raw).into())
        })
    })
}

/// What the adapter in the folder, or of the Hub id, `path` would take, from
/// the index of its tensors alone.
pub fn estimate_adapter<'n>(
    path: impl AsRef<Path>,
    subfolder: impl Into<Option<&'n str>>,
) -> Result<AdapterEstimate> {
    let mut raw = out_struct!(peft_adapter_estimate_t);
    with_path(path.as_ref(), |path| {
        with_optional_text(subfolder.into(), |subfolder| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_estimate_adapter(path, subfolder, &mut raw)
            })
        })
    })?;
    Ok(AdapterEstimate {
        size_bytes: raw.size_bytes,
        file_bytes: raw.file_bytes,
        num_parameters: raw.num_parameters,
        num_tensors: raw.num_tensors,
    })
}

/// A JSON object that describes the adapter in the folder, or of the Hub id,
/// `path`, of any method, also of those that cannot run yet; its fields are in
/// `docs/c-api.md`. With a model also which of its modules match.
pub fn inspect_adapter<'n>(
    path: impl AsRef<Path>,
    subfolder: impl Into<Option<&'n str>>,
    model: Option<&Model>,
) -> Result<String> {
    let mut raw = ptr::null_mut();
    let model = model.map_or(ptr::null_mut(), Model::as_raw);
    with_path(path.as_ref(), |path| {
        with_optional_text(subfolder.into(), |subfolder| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_inspect_adapter(path, subfolder, model, &mut raw)
            })
        })
    })?;
    Ok(take_string(raw))
}
