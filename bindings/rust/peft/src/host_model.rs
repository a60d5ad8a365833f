//! Models of programs that run their own forward.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr;

use peft_sys as sys;

use crate::activation::Activation;
use crate::constants::{DType, LayerKind};
use crate::error::{check, Result};
use crate::handle::{default_struct, setters};
use crate::model::Model;
use crate::model_options::ModelOptions;
use crate::rows::{row_setters, RowFields, Rows};
use crate::tensor::Tensor;
use crate::tensor_view::TensorView;
use crate::tensor_view_mut::TensorViewMut;
use crate::text::{str_of, with_text, TextPool};

/// A layer of a program's own model.
#[derive(Debug)]
pub struct Layer<'w> {
    raw: sys::peft_layer_t,
    name: TextPool,
    weight: Option<TensorView<'w>>,
    bias: Option<TensorView<'w>>,
}

// SAFETY: Texts of its own and views, which may go to other threads.
unsafe impl Send for Layer<'_> {}
// SAFETY: As above.
unsafe impl Sync for Layer<'_> {}

impl<'w> Layer<'w> {
    /// A layer without weight. Names are those of torch's `named_modules()`, or
    /// of `named_parameters()` for a parameter.
    pub fn new(name: &str, kind: LayerKind) -> Self {
        let mut raw = default_struct!(peft_layer_t, peft_layer_init);
        let mut pool = TextPool::default();
        raw.name = pool.text(name);
        raw.kind = kind.into();
        Layer { raw, name: pool, weight: None, bias: None }
    }

    /// F32, BF16 or F16. None for `LayerKind::Other`.
    pub fn weight(mut self, weight: TensorView<'w>) -> Self {
        self.weight = Some(weight);
        self.raw.writable_weights = 0;
        self
    }

    /// One number per output. Default: none.
    pub fn bias(mut self, bias: TensorView<'w>) -> Self {
        self.bias = Some(bias);
        self.raw.writable_weights = 0;
        self
    }

    /// A weight that the program keeps to itself: such layers take
    /// [`add_delta`](crate::LayerRunner::add_delta) and
    /// [`lower_layer`](Model::lower_layer), and what needs the weight fails
    /// with `LayerWeight`.
    pub fn hidden_weight(self, dtype: DType, sizes: &'w [i64]) -> Self {
        self.weight(TensorView::without_data(dtype, sizes))
    }

    /// Weight and bias that [`merge_adapter`](Model::merge_adapter) of a
    /// [`HostModel`] writes into, and
    /// [`unmerge_adapter`](Model::unmerge_adapter) writes back. Meanwhile
    /// [`HostModel::weight`] and [`HostModel::bias`] lend them. While adapters
    /// are merged so, calls that read the base's weights are `Merged`. A
    /// `weight` or `bias` that is set afterwards undoes it.
    pub fn writable_weights(
        mut self,
        weight: TensorViewMut<'w>,
        bias: Option<TensorViewMut<'w>>,
    ) -> Self {
        self.weight = Some(weight.into_view());
        self.bias = bias.map(TensorViewMut::into_view);
        self.raw.writable_weights = 1;
        self.copy_weights(false)
    }

    setters! {
        /// The head that gives logits, which "all-linear" leaves out. Default
        /// false.
        is_output_embedding: bool,
        /// False: a [`HostModel`] uses the memory of weight and bias as it is.
        /// Rows of a weight may lie apart, and so may the columns of a matrix
        /// that is stored by these; all else is contiguous. Default true: they
        /// are copied, whatever their strides.
        copy_weights: bool,
        /// Of a parameter with experts: its matrices are stored (in, out).
        /// Default false.
        is_transposed: bool,
        /// Of a convolution, for each axis of its kernel in torch's order.
        /// Default 1.
        stride: [i64; 3],
        /// Of a convolution: zeros before the first element. Default 0.
        padding: [i64; 3],
        /// Of a convolution: zeros after the last element. Default -1: as
        /// `padding`.
        padding_end: [i64; 3],
        /// Of a convolution. Default 1.
        dilation: [i64; 3],
        /// Of a convolution. Default 1.
        groups: i64,
        /// Of a norm: what is added under the root. Default 1e-5.
        epsilon: f64,
    }

    fn name(&self) -> &str {
        // SAFETY: The text is of the pool, or null.
        unsafe { str_of(self.raw.name) }.unwrap_or_default()
    }

    /// The header's struct, which points into this one.
    pub(crate) fn raw(&self, copies: bool) -> Result<sys::peft_layer_t> {
        self.name.check()?;
        let view = |view: &Option<TensorView<'w>>| {
            view.as_ref().map_or(ptr::null(), TensorView::as_raw)
        };
        let mut raw = self.raw;
        raw.weight = view(&self.weight);
        raw.bias = view(&self.bias);
        if copies {
            raw.copy_weights = 1;
            raw.writable_weights = 0;
        }
        Ok(raw)
    }
}

/// A model of a program's own layers that uses their weights where they lie,
/// for layers with `copy_weights(false)`. It is a [`Model`] in all else.
///
/// ```
/// use peft::{HostModel, Layer, LayerKind, ModelOptions, TensorView};
///
/// let weight = vec![0.5_f32; 6];
/// let view = TensorView::new(&weight, &[2, 3])?;
/// let layer =
///     Layer::new("proj", LayerKind::Linear).weight(view).copy_weights(false);
/// let model = HostModel::new(vec![layer], &mut ModelOptions::new())?;
///
/// let x = TensorView::new(&[1.0_f32, 2.0, 3.0], &[1, 3])?;
/// let y = model.run_layer("proj", &x, &Default::default())?;
/// assert_eq!(y.view()?.as_slice(), Some(&[3.0_f32, 3.0][..]));
/// # Ok::<(), peft::Error>(())
/// ```
///
/// The weights must outlive it:
///
/// ```compile_fail,E0505
/// # use peft::{HostModel, Layer, LayerKind, ModelOptions, TensorView};
/// let weight = vec![0.5_f32; 6];
/// let view = TensorView::new(&weight, &[2, 3]).unwrap();
/// let layer = Layer::new("proj", LayerKind::Linear).weight(view);
/// let model = HostModel::new(vec![layer], &mut ModelOptions::new()).unwrap();
/// drop(weight);
/// model.info().unwrap();
/// ```
#[derive(Debug)]
pub struct HostModel<'w> {
    model: Model,
    // They have the memory to themselves where they may write to it.
    layers: Vec<Layer<'w>>,
}

impl<'w> HostModel<'w> {
    /// As [`Model::create`], which copies all weights.
    pub fn new(
        layers: Vec<Layer<'w>>,
        options: &mut ModelOptions<'_>,
    ) -> Result<Self> {
        let model = Model::create_of(&layers, false, options)?;
        Ok(HostModel { model, layers })
    }

    /// The weight of a layer as it is now, while nobody can merge.
    pub fn weight(&mut self, name: &str) -> Option<TensorView<'_>> {
        self.layer(name)?.weight
    }

    /// The bias of a layer as it is now, while nobody can merge.
    pub fn bias(&mut self, name: &str) -> Option<TensorView<'_>> {
        self.layer(name)?.bias
    }

    /// As [`weight`](HostModel::weight), where others use the model.
    ///
    /// # Safety
    ///
    /// Nobody merges or unmerges while the view is in use.
    pub unsafe fn weight_unchecked(
        &self,
        name: &str,
    ) -> Option<TensorView<'_>> {
        self.layer(name)?.weight
    }

    /// As [`bias`](HostModel::bias), where others use the model.
    ///
    /// # Safety
    ///
    /// Nobody merges or unmerges while the view is in use.
    pub unsafe fn bias_unchecked(&self, name: &str) -> Option<TensorView<'_>> {
        self.layer(name)?.bias
    }

    fn layer(&self, name: &str) -> Option<&Layer<'w>> {
        self.layers.iter().find(|layer| layer.name() == name)
    }
}

impl Deref for HostModel<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

/// How a layer is run.
#[derive(Debug)]
pub struct RunLayerOptions<'a> {
    raw: sys::peft_run_layer_options_t,
    rows: Rows<'a>,
}

impl Default for RunLayerOptions<'_> {
    fn default() -> Self {
        let raw = default_struct!(
            peft_run_layer_options_t,
            peft_run_layer_options_init
        );
        RunLayerOptions { raw, rows: Rows::default() }
    }
}

impl<'a> RunLayerOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Which matrix of a parameter with experts. Default -1: the layer has
        /// none. Of a [`LayerRunner`](crate::LayerRunner), whose layers say it,
        /// -1.
        expert: i64,
        /// Of a [`LayerRunner`](crate::LayerRunner) on a CUDA device: the
        /// `CUstream` or `cudaStream_t` that the work is put on. Default null:
        /// the default stream.
        stream: *mut c_void,
    }

    row_setters!();

    #[inline]
    pub(crate) fn raw(&self) -> Result<*const sys::peft_run_layer_options_t> {
        self.rows.texts.check()?;
        Ok(&self.raw)
    }
}

impl Model {
    /// What layer `name` computes from `x` under the adapters that are active
    /// when the call begins, as its torch module would, in F32. `x` is (...,
    /// in), F32, BF16 or F16; for a convolution (batch, channels, ...) or
    /// (channels, ...); for an embedding I64 or I32 ids of any shape. Works on
    /// opened models, too, but not for their norms.
    #[inline]
    pub fn run_layer(
        &self,
        name: &str,
        x: &TensorView<'_>,
        options: &RunLayerOptions<'_>,
    ) -> Result<Tensor> {
        let (options, mut raw) = (options.raw()?, ptr::null_mut());
        with_text(name, |name| {
            // SAFETY: All is valid for the call.
            check(unsafe {
                sys::peft_model_run_layer(
                    self.as_raw(),
                    name,
                    x.as_raw(),
                    options,
                    &mut raw,
                )
            })
        })?;
        Ok(Tensor::from_new(raw))
    }
}
