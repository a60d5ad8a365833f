//! Layers that run within a program's own forward.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use peft_sys as sys;

use crate::error::{check, Result};
use crate::host_model::{HostModel, RunLayerOptions};
use crate::model::Model;
use crate::tensor_view::TensorView;
use crate::tensor_view_mut::TensorViewMut;
use crate::text::with_text;

/// The number of a layer of one model, as [`Model::find_layer`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerNumber(pub(crate) i64);

/// Workspace in which layers of a model run, for a program's own forward: one
/// for each thread. Once calls of a shape have been made, further ones allocate
/// nothing.
///
/// ```
/// use peft::{Layer, LayerKind, Model, ModelOptions, RunLayerOptions};
/// use peft::{TensorView, TensorViewMut};
///
/// let weight = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let layer = Layer::new("proj", LayerKind::Linear)
///     .weight(TensorView::new(&weight, &[2, 3])?);
/// let model = Model::create(&[layer], &mut ModelOptions::new())?;
/// let proj = model.find_layer("proj", None)?;
///
/// let mut runner = model.layer_runner()?;
/// let x = TensorView::new(&[1.0_f32, 0.0, 0.0], &[1, 3])?;
/// let mut y = [0.0_f32; 2];
/// let mut view = TensorViewMut::new(&mut y, &[1, 2])?;
/// runner.run(proj, &x, &RunLayerOptions::new(), &mut view)?;
/// assert_eq!(y, [1.0, 4.0]);
/// # Ok::<(), peft::Error>(())
/// ```
///
/// It cannot outlive its model:
///
/// ```compile_fail,E0505
/// # fn f(model: peft::Model, layer: peft::LayerNumber) {
/// let runner = model.layer_runner().unwrap();
/// drop(model);
/// println!("{runner:?}");
/// # }
/// ```
#[derive(Debug)]
pub struct LayerRunner<'m> {
    pub(crate) raw: *mut sys::peft_layer_runner_t,
    // Dropped after the runner is freed.
    _model: Option<Arc<dyn Kept + 'm>>,
    lives: PhantomData<&'m Model>,
}

/// A model that a runner may keep.
pub(crate) trait Kept: fmt::Debug + Send + Sync {}

impl Kept for Model {}
impl Kept for HostModel<'_> {}

// SAFETY: A handle points to nothing and belongs to no thread.
unsafe impl Send for LayerRunner<'_> {}

impl Drop for LayerRunner<'_> {
    fn drop(&mut self) {
        // SAFETY: The handle is this object's own.
        unsafe { sys::peft_layer_runner_free(self.raw) }
    }
}

impl Model {
    /// The number of a layer, or of a matrix of a parameter with experts.
    pub fn find_layer(
        &self,
        name: &str,
        expert: impl Into<Option<i64>>,
    ) -> Result<LayerNumber> {
        let (expert, mut layer) = (expert.into().unwrap_or(-1), 0);
        with_text(name, |name| {
            let find = sys::peft_model_find_layer;
            // SAFETY: All is valid for the call.
            check(unsafe { find(self.as_raw(), name, expert, &mut layer) })
        })?;
        Ok(LayerNumber(layer))
    }

    /// A runner of the layers of this model.
    pub fn layer_runner(&self) -> Result<LayerRunner<'_>> {
        LayerRunner::new(self, None)
    }
}

impl LayerRunner<'static> {
    /// A runner that keeps its model.
    pub fn shared(model: Arc<Model>) -> Result<Self> {
        LayerRunner::new(&Arc::clone(&model), Some(model))
    }
}

impl<'m> LayerRunner<'m> {
    /// A runner that keeps its model, whose weights it may read.
    pub fn shared_host(model: Arc<HostModel<'m>>) -> Result<Self> {
        LayerRunner::new(&Arc::clone(&model), Some(model))
    }

    fn new(model: &Model, kept: Option<Arc<dyn Kept + 'm>>) -> Result<Self> {
        let create = sys::peft_layer_runner_create;
        // SAFETY: `raw` is the library's to write to.
        Self::made(kept, |raw| unsafe { create(model.as_raw(), raw) })
    }

    /// The runner that `create` writes, of a model that lives for `'m`.
    pub(crate) fn made(
        kept: Option<Arc<dyn Kept + 'm>>,
        create: impl FnOnce(
            *mut *mut sys::peft_layer_runner_t,
        ) -> *mut sys::peft_status_t,
    ) -> Result<Self> {
        let mut raw = ptr::null_mut();
        check(create(&mut raw))?;
        Ok(LayerRunner { raw, _model: kept, lives: PhantomData })
    }

    /// Writes what [`Model::run_layer`] computes to `y`, of the result's shape,
    /// F32, BF16 or F16. Rows of x and y may lie apart (strides), their
    /// elements may not; a convolution's are contiguous.
    #[inline]
    pub fn run(
        &mut self,
        layer: LayerNumber,
        x: &TensorView<'_>,
        options: &RunLayerOptions<'_>,
        y: &mut TensorViewMut<'_>,
    ) -> Result<()> {
        let (run, options) = (sys::peft_layer_runner_run, options.raw()?);
        // SAFETY: All is valid for the call; `y` is borrowed to be written to.
        check(unsafe {
            run(self.raw, layer.0, x.as_raw(), options, y.as_raw())
        })
    }

    /// Adds to `y`, which holds what the program itself computed from `x` with
    /// the layer's own weight and bias, what adapters add to it. Reads no
    /// weight. Fails with `LayerNoDelta` where what acts does more than add.
    #[inline]
    pub fn add_delta(
        &mut self,
        layer: LayerNumber,
        x: &TensorView<'_>,
        options: &RunLayerOptions<'_>,
        y: &mut TensorViewMut<'_>,
    ) -> Result<()> {
        let (add, options) = (sys::peft_layer_runner_add_delta, options.raw()?);
        // SAFETY: As above.
        check(unsafe {
            add(self.raw, layer.0, x.as_raw(), options, y.as_raw())
        })
    }
}
