//! Adapters that are not loaded.

use std::path::{Path, PathBuf};
use std::ptr;

use peft_sys as sys;

use crate::error::{check, Result};
use crate::file::{with_files, File};
use crate::handle::out_struct;
use crate::load_options::LoadOptions;
use crate::model::Model;
use crate::text::{take_string, with_optional_text, with_path};

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

impl AdapterEstimate {
    fn of(raw: &sys::peft_adapter_estimate_t) -> Self {
        AdapterEstimate {
            size_bytes: raw.size_bytes,
            file_bytes: raw.file_bytes,
            num_parameters: raw.num_parameters,
            num_tensors: raw.num_tensors,
        }
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
    Ok(AdapterEstimate::of(&raw))
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

/// [`estimate_adapter`] of an adapter whose folder is these files.
pub fn estimate_files(files: &mut [File<'_>]) -> Result<AdapterEstimate> {
    let mut raw = out_struct!(peft_adapter_estimate_t);
    with_files(files, |files, count| {
        // SAFETY: All is valid for the call.
        check(unsafe { sys::peft_estimate_files(files, count, &mut raw) })
    })?;
    Ok(AdapterEstimate::of(&raw))
}

/// [`inspect_adapter`] of an adapter whose folder is these files.
pub fn inspect_files(
    files: &mut [File<'_>],
    model: Option<&Model>,
) -> Result<String> {
    let mut raw = ptr::null_mut();
    let model = model.map_or(ptr::null_mut(), Model::as_raw);
    with_files(files, |files, count| {
        // SAFETY: All is valid for the call.
        check(unsafe { sys::peft_inspect_files(files, count, model, &mut raw) })
    })?;
    Ok(take_string(raw))
}
