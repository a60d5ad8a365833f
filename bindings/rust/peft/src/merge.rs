//! Merging and combining adapters.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::ptr;

use peft_sys as sys;

use crate::adapter_options::{
    check_scales, scales_of, CombineOptions, MergeOptions,
};
use crate::callback::{watch, PairWatcher};
use crate::error::{check, Result};
use crate::handle::{default_struct, setters};
use crate::model::Model;
use crate::names::Names;
use crate::text::{with_names, with_path, with_text, TextPool};

impl Model {
    /// Writes what these adapters do into new weights, which stand for those of
    /// the base until [`unmerge_adapter`](Model::unmerge_adapter); with no
    /// names those that are active. They are not applied a second time; other
    /// active adapters act on top.
    pub fn merge_adapter(
        &self,
        names: &[&str],
        options: &MergeOptions<'_>,
    ) -> Result<()> {
        let options = options.raw(names.len())?;
        with_names(names, |names, count| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_model_merge_adapter(
                    self.as_raw(),
                    names,
                    count,
                    options,
                )
            })
        })
    }

    /// Goes back to the base's own weights, bit by bit and at once. Does
    /// nothing when nothing is merged.
    pub fn unmerge_adapter(&self) -> Result<()> {
        // SAFETY: The handle is good.
        check(unsafe { sys::peft_model_unmerge_adapter(self.as_raw()) })
    }

    /// The merged adapters in order, also while adapters are disabled.
    pub fn merged_adapters(&self) -> Result<Names> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is the library's to write to.
        check(unsafe {
            sys::peft_model_merged_adapters(self.as_raw(), &mut raw)
        })?;
        Ok(Names::from_new(raw))
    }

    /// Writes the model with adapters merged as the Hugging Face folder `path`,
    /// which transformers and [`Model::open`] open like any other. The model
    /// itself does not change. The folder appears whole or not at all; its
    /// parent must exist.
    pub fn merge_and_unload(
        &self,
        path: impl AsRef<Path>,
        options: &mut MergeAndUnloadOptions<'_>,
    ) -> Result<()> {
        with_path(path.as_ref(), |path| {
            options.run(|options| {
                let write = sys::peft_model_merge_and_unload;
                // SAFETY: All is valid for the call.
                check(unsafe { write(self.as_raw(), path, options) })
            })
        })
    }

    /// Writes the base of a model that was opened with a `weight_format` as the
    /// folder `path`, which [`Model::open`] opens with the same numbers.
    /// Adapters are no part of it. `function` is called as
    /// [`on_progress`](MergeAndUnloadOptions::on_progress) is. The folder
    /// appears whole or not at all; its parent must exist.
    pub fn write_quantized(
        &self,
        path: impl AsRef<Path>,
        function: impl FnMut(i64, i64) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut watcher = PairWatcher::new(Box::new(function));
        let user_data = watcher.user_data();
        let result = with_path(path.as_ref(), |path| {
            let write = sys::peft_model_write_quantized;
            // SAFETY: All is valid for the call.
            check(unsafe { write(self.as_raw(), path, Some(watch), user_data) })
        });
        watcher.resume();
        result
    }

    /// Deletes all adapters and keeps the base: what is merged is unmerged.
    pub fn unload(&self) -> Result<()> {
        // SAFETY: The handle is good.
        check(unsafe { sys::peft_model_unload(self.as_raw()) })
    }

    /// Makes an adapter of loaded ones, each with a weight, as PEFT's
    /// `add_weighted_adapter` does. Its scale is 1; it is frozen and not
    /// activated.
    pub fn add_weighted_adapter(
        &self,
        new_name: &str,
        sources: &[(&str, f32)],
        options: &CombineOptions,
    ) -> Result<()> {
        let options = options.raw()?;
        let (names, weights): (Vec<_>, Vec<_>) =
            sources.iter().copied().unzip();
        with_text(new_name, |new_name| {
            with_names(&names, |names, count| {
                // SAFETY: All is valid for the call.
                check(unsafe {
                    sys::peft_model_add_weighted_adapter(
                        self.as_raw(),
                        new_name,
                        names,
                        weights.as_ptr(),
                        count,
                        options,
                    )
                })
            })
        })
    }
}

/// How a merged model is written.
pub struct MergeAndUnloadOptions<'a> {
    raw: sys::peft_merge_and_unload_options_t,
    texts: TextPool,
    scales: Option<&'a [f32]>,
    watcher: Option<Box<PairWatcher<'a>>>,
}

impl fmt::Debug for MergeAndUnloadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl Default for MergeAndUnloadOptions<'_> {
    fn default() -> Self {
        MergeAndUnloadOptions {
            raw: default_struct!(
                peft_merge_and_unload_options_t,
                peft_merge_and_unload_options_init
            ),
            texts: TextPool::default(),
            scales: None,
            watcher: None,
        }
    }
}

impl<'a> MergeAndUnloadOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The adapters to merge, in this order. Default: those that are merged now
    /// and those that are active.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.raw.names = self.texts.array(names.iter().copied());
        self.raw.num_names = names.len();
        self
    }

    /// One finite number per name, multiplied with the adapter's own scale.
    /// Default: those that active adapters act with now, 1 for the others.
    pub fn scales(mut self, scales: &'a [f32]) -> Self {
        self.scales = Some(scales);
        self.raw.scales = scales_of(self.scales);
        self
    }

    setters! {
        /// A merged weight that is NaN or infinite is `MergeNotFinite`. Default
        /// false: it is taken.
        safe_merge: bool,
    }

    /// Is called after each tensor that was written with the bytes that are
    /// done and those of all. `ControlFlow::Break(())` cancels. A panic of it
    /// goes on when the call has returned.
    pub fn on_progress(
        mut self,
        function: impl FnMut(i64, i64) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.watcher = Some(PairWatcher::new(Box::new(function)));
        self.raw.on_progress = Some(watch);
        self
    }

    fn run<R>(
        &mut self,
        f: impl FnOnce(*const sys::peft_merge_and_unload_options_t) -> Result<R>,
    ) -> Result<R> {
        self.texts.check()?;
        check_scales(self.scales, self.raw.num_names)?;
        if let Some(watcher) = self.watcher.as_deref_mut() {
            self.raw.user_data = watcher.user_data();
        }
        let result = f(&self.raw);
        if let Some(watcher) = &self.watcher {
            watcher.resume();
        }
        result
    }
}
