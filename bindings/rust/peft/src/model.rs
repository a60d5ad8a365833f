//! Base models.

use std::path::{Path, PathBuf};
use std::ptr;

use peft_sys as sys;

use crate::constants::Task;
use crate::error::{check, Result};
use crate::file::File;
use crate::handle::{handle, out_struct};
use crate::host_model::Layer;
use crate::model_options::ModelOptions;
use crate::session::{Session, SessionOptions};
use crate::text::{str_of, take_string, with_optional_text, with_path};

handle! {
    sync
    /// A base model with any number of adapters. Any calls at the same time:
    /// put it in an [`Arc`](std::sync::Arc) to share it. Sessions keep what
    /// they need of it, so it may be dropped before them.
    ///
    /// Where an adapter's name may be `None` that is the first active one, or
    /// for what loads or makes one "default".
    ///
    /// ```
    /// use peft::Model;
    ///
    /// # let base = "../../../examples/quickstart/base";
    /// # let german = "../../../examples/quickstart/adapters/german";
    /// let model = Model::open(base)?;
    /// model.load_adapter("german", german)?;
    /// assert_eq!(model.active_adapters()?, ["german"]);
    /// model.disable_adapters()?;
    /// # Ok::<(), peft::Error>(())
    /// ```
    Model, peft_model_t, peft_model_free
}

/// What a model is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo<'a> {
    /// transformers' name of the family: "llama"; "" of a host model, which has
    /// 0 in the next four, too.
    pub model_type: &'a str,
    /// Token ids are 0 to `vocab_size` - 1.
    pub vocab_size: i64,
    /// The width of hidden states.
    pub hidden_size: i64,
    /// The number of transformer blocks.
    pub num_layers: i64,
    /// What the model was trained for. Longer sequences are refused only where
    /// positions have a table (GPT-2, BERT).
    pub max_position_embeddings: i64,
    /// The elements of all weights, tied ones once.
    pub num_parameters: i64,
    /// Their bytes.
    pub size_bytes: i64,
    /// The number of layers that adapters can attach to.
    pub num_sites: i64,
    /// The adapters that are loaded.
    pub num_adapters: i64,
    /// The bytes that they take.
    pub adapter_bytes: i64,
    /// transformers' class: "LlamaForCausalLM".
    pub architecture: &'a str,
    /// What it is for.
    pub task: Task,
    /// Of a model that classifies, else 0.
    pub num_labels: i64,
    /// Token type ids are 0 to `num_token_types` - 1; 0: it takes none.
    pub num_token_types: i64,
}

impl Model {
    /// Opens the Hugging Face folder, or the Hub id, `path` (`config.json` and
    /// safetensors, single or sharded).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &mut ModelOptions::new())
    }

    /// The same with options.
    pub fn open_with(
        path: impl AsRef<Path>,
        options: &mut ModelOptions<'_>,
    ) -> Result<Self> {
        with_path(path.as_ref(), |path| {
            options.run(|options| {
                let mut raw = ptr::null_mut();
                // SAFETY: Path and options are valid for the call.
                check(unsafe {
                    sys::peft_model_open(path, options, &mut raw)
                })?;
                Ok(Self::from_new(raw))
            })
        })
    }

    /// Opens a model whose folder is these files. `name` is what it is called.
    /// `subfolder` and the options of the Hub are those of the adapters of
    /// `for_adapters`.
    pub fn open_files<'n>(
        name: impl Into<Option<&'n str>>,
        files: &mut [File<'_>],
        options: &mut ModelOptions<'_>,
    ) -> Result<Self> {
        with_optional_text(name.into(), |name| {
            options.run_on(files, |options| {
                let mut raw = ptr::null_mut();
                // SAFETY: All is valid for the call.
                check(unsafe {
                    sys::peft_model_open(name, options, &mut raw)
                })?;
                Ok(Self::from_new(raw))
            })
        })
    }

    /// Opens the model that the configs of `options.for_adapters` name as
    /// `base_model_name_or_path`. Fails with `AdapterConfig` where none does,
    /// with `BaseMismatch` where they differ.
    pub fn open_for_adapters(options: &mut ModelOptions<'_>) -> Result<Self> {
        options.run(|options| {
            let mut raw = ptr::null_mut();
            // SAFETY: The options are valid for the call.
            check(unsafe {
                sys::peft_model_open(ptr::null(), options, &mut raw)
            })?;
            Ok(Self::from_new(raw))
        })
    }

    /// Makes a model of a program's own layers, for programs that run their own
    /// forward, with copies of their weights; see
    /// [`HostModel`](crate::HostModel) for one without. All verbs for adapters
    /// work on it; sessions are refused. Layers are listed in the order of
    /// `named_modules()`; modules that only hold others need no entry.
    pub fn create(
        layers: &[Layer<'_>],
        options: &mut ModelOptions<'_>,
    ) -> Result<Self> {
        Self::create_of(layers, true, options)
    }

    pub(crate) fn create_of(
        layers: &[Layer<'_>],
        copies_all: bool,
        options: &mut ModelOptions<'_>,
    ) -> Result<Self> {
        let raw_layers = layers
            .iter()
            .map(|layer| layer.raw(copies_all))
            .collect::<Result<Vec<_>>>()?;
        options.run(|options| {
            let mut raw = ptr::null_mut();
            // SAFETY: Layers and options are valid for the call; what is not
            // copied lives as long as `HostModel` says.
            check(unsafe {
                sys::peft_model_create(
                    raw_layers.as_ptr(),
                    raw_layers.len(),
                    options,
                    &mut raw,
                )
            })?;
            Ok(Self::from_new(raw))
        })
    }

    /// What the model is.
    pub fn info(&self) -> Result<ModelInfo<'_>> {
        let mut raw = out_struct!(peft_model_info_t);
        // SAFETY: `raw` is the library's to write to; the texts live until the
        // model is freed.
        let text = |text| unsafe { str_of(text) }.unwrap_or_default();
        check(unsafe { sys::peft_model_get_info(self.as_raw(), &mut raw) })?;
        Ok(ModelInfo {
            model_type: text(raw.model_type),
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            num_layers: raw.num_layers,
            max_position_embeddings: raw.max_position_embeddings,
            num_parameters: raw.num_parameters,
            size_bytes: raw.size_bytes,
            num_sites: raw.num_sites,
            num_adapters: raw.num_adapters,
            adapter_bytes: raw.adapter_bytes,
            architecture: text(raw.architecture),
            task: raw.task.into(),
            num_labels: raw.num_labels,
            num_token_types: raw.num_token_types,
        })
    }

    /// Makes an empty session.
    pub fn session(&self) -> Result<Session> {
        Session::new(self, &SessionOptions::new())
    }
}

/// The folder that [`Model::open_with`] would open, fetched where it is of the
/// Hub: for a download ahead of time, and for the tokenizer, which is among
/// what is fetched.
pub fn fetch_model(
    path: impl AsRef<Path>,
    options: &mut ModelOptions<'_>,
) -> Result<PathBuf> {
    with_path(path.as_ref(), |path| options.run(|it| fetch(path, it)))
}

/// The same for [`Model::open_for_adapters`].
pub fn fetch_model_for_adapters(
    options: &mut ModelOptions<'_>,
) -> Result<PathBuf> {
    options.run(|options| fetch(ptr::null(), options))
}

fn fetch(
    path: *const std::ffi::c_char,
    options: *const sys::peft_model_options_t,
) -> Result<PathBuf> {
    let mut folder = ptr::null_mut();
    // SAFETY: Path and options are valid for the call.
    check(unsafe { sys::peft_fetch_model(path, options, &mut folder) })?;
    Ok(take_string(folder).into())
}
