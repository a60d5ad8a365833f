//! The verbs of transformers' `PeftAdapterMixin`.

use std::path::Path;
use std::ptr;

use peft_sys as sys;

use crate::adapter_options::{AddAdapterOptions, SetAdapterOptions};
use crate::error::{check, Result};
use crate::file::File;
use crate::load_options::LoadOptions;
use crate::load_report::LoadReport;
use crate::model::Model;
use crate::names::Names;
use crate::state_dict::StateDict;
use crate::text::{with_names, with_optional_text, with_path, with_text};

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

    /// The same from files that are not in a folder. Options that say where an
    /// adapter comes from are refused.
    pub fn load_adapter_files<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        files: &mut [File<'_>],
        options: &mut LoadOptions<'_>,
    ) -> Result<LoadReport> {
        with_optional_text(name.into(), |name| {
            let load = sys::peft_model_load_adapter;
            options.run_on(files, |options| {
                // SAFETY: All is valid for the call.
                LoadReport::of(|out| unsafe {
                    load(self.as_raw(), name, ptr::null(), options, out)
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
