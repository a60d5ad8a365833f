//! Layers that run on CUDA devices.

use std::ffi::c_void;
use std::sync::Arc;

use peft_sys as sys;

use crate::constants::DType;
use crate::error::{check, Error, Result};
use crate::handle::{default_struct, setters};
use crate::host_model::{HostModel, RunLayerOptions};
use crate::layer_runner::{Kept, LayerNumber, LayerRunner};
use crate::model::Model;
use crate::tensor_view::{Numbers, TensorView};
use crate::text::TextPool;

/// How layers run on a CUDA device.
#[derive(Debug)]
pub struct CudaOptions {
    raw: sys::peft_cuda_options_t,
    texts: TextPool,
}

// SAFETY: Numbers, and texts of its own.
unsafe impl Send for CudaOptions {}
// SAFETY: As above.
unsafe impl Sync for CudaOptions {}

impl Default for CudaOptions {
    fn default() -> Self {
        let raw = default_struct!(peft_cuda_options_t, peft_cuda_options_init);
        CudaOptions { raw, texts: TextPool::default() }
    }
}

impl CudaOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// CUDA's number of the device. Default 0.
        device_index: i32,
        /// Of x, y and weights: F32, F16 or BF16. Default BF16.
        dtype: DType,
        /// Adapters are kept in it on the device: one of the same three.
        /// Default BF16.
        adapter_dtype: DType,
        /// Sums of cuBLASLt are never split, so that results depend on shapes
        /// alone. Default false.
        deterministic: bool,
        /// Adapters that act together, at most. Default 2.
        max_adapters: i32,
        /// The largest sum of the ranks of adapters that act together at a
        /// layer. Default 64.
        max_rank: i32,
        /// Different activations that rows of calls may name before one that
        /// was used last must make room: 1 to 1024. Default 8.
        max_activations: i32,
        /// Bytes of device memory for adapters, at least enough for one. They
        /// stay there until others need the room. Default 256 MiB.
        adapter_bytes: i64,
    }

    /// The driver to open in place of `libcuda.so.1`.
    ///
    /// # Safety
    ///
    /// The file is NVIDIA's driver, or another library that may be run as it.
    pub unsafe fn driver_path(mut self, value: &str) -> Self {
        self.raw.driver_path = self.texts.text(value);
        self
    }

    /// The cuBLASLt to open in place of the one that the dynamic linker finds.
    ///
    /// # Safety
    ///
    /// The file is cuBLASLt, or another library that may be run as it.
    pub unsafe fn cublaslt_path(mut self, value: &str) -> Self {
        self.raw.cublaslt_path = self.texts.text(value);
        self
    }

    /// A file with the machine code of the kernels, for a library that was
    /// built without. Default: what was built in.
    ///
    /// # Safety
    ///
    /// The file, which is run on the device, was made of the library's kernels.
    pub unsafe fn kernels_path(mut self, value: &str) -> Self {
        self.raw.kernels_path = self.texts.text(value);
        self
    }

    fn raw(&self) -> Result<*const sys::peft_cuda_options_t> {
        self.texts.check()?;
        Ok(&self.raw)
    }
}

/// A description of elements in the memory of a CUDA device. It owns nothing,
/// and is only followed by calls that are `unsafe`.
///
/// ```
/// use peft::{CudaView, DType};
///
/// # let address = 0x7f00_0000_0000;
/// let rows = CudaView::new(address, DType::Bf16, &[4, 1024])
///     .with_strides(&[4096, 1])?;
/// # Ok::<(), peft::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CudaView<'a>(TensorView<'a>);

impl<'a> CudaView<'a> {
    /// Contiguous elements at `address`, a `CUdeviceptr`, on device 0.
    pub fn new(address: u64, dtype: DType, sizes: &'a [i64]) -> Self {
        CudaView(TensorView::on_cuda(address, dtype, sizes))
    }

    /// The next element along each axis is `strides` elements further. Fails
    /// where they are not one for each size.
    pub fn with_strides(self, strides: &'a [i64]) -> Result<Self> {
        let rank = self.0.rank();
        if strides.len() != rank {
            let expected = format!("{rank} numbers");
            return Err(Error::argument("strides", expected, Numbers(strides)));
        }
        let (_, index) = self.0.device();
        Ok(CudaView(self.0.placed(Some(strides), index)))
    }

    /// On the device that CUDA gives this number.
    pub fn on_device(self, index: i32) -> Self {
        CudaView(self.0.placed(self.0.strides(), index))
    }

    /// The description, whose elements cannot be read.
    pub fn as_view(&self) -> TensorView<'a> {
        self.0
    }
}

impl Model {
    /// A runner of the layers of this model on a CUDA device, with the device's
    /// primary context. Linear layers, Conv1D, MultiheadAttention's in_proj and
    /// parameters run. Fails with `CudaDriver` or `Cublaslt` where the driver,
    /// cuBLASLt or code for the device is missing or too old.
    ///
    /// ```
    /// use peft::{CudaOptions, DType, ErrorId, Model};
    ///
    /// # fn f(model: &Model) -> peft::Result<()> {
    /// let options = CudaOptions::new().dtype(DType::F16).max_rank(128);
    /// match model.cuda_layer_runner(&options) {
    ///     Ok(runner) => println!("on the device: {runner:?}"),
    ///     Err(error) if error.id() == &ErrorId::CudaDriver => {
    ///         println!("on the CPU: {error}");
    ///     }
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cuda_layer_runner(
        &self,
        options: &CudaOptions,
    ) -> Result<LayerRunner<'_>> {
        LayerRunner::on_cuda(self, None, options)
    }
}

impl LayerRunner<'static> {
    /// As [`Model::cuda_layer_runner`]: a runner that keeps its model.
    pub fn shared_cuda(
        model: Arc<Model>,
        options: &CudaOptions,
    ) -> Result<Self> {
        LayerRunner::on_cuda(&Arc::clone(&model), Some(model), options)
    }
}

impl<'m> LayerRunner<'m> {
    /// As [`Model::cuda_layer_runner`]: a runner that keeps its model, whose
    /// weights it may read.
    pub fn shared_host_cuda(
        model: Arc<HostModel<'m>>,
        options: &CudaOptions,
    ) -> Result<Self> {
        LayerRunner::on_cuda(&Arc::clone(&model), Some(model), options)
    }

    fn on_cuda(
        model: &Model,
        kept: Option<Arc<dyn Kept + 'm>>,
        options: &CudaOptions,
    ) -> Result<Self> {
        let (create, options) =
            (sys::peft_layer_runner_create_cuda, options.raw()?);
        // SAFETY: All is valid for the call, and `raw` is to be written to.
        Self::made(kept, |raw| unsafe { create(model.as_raw(), options, raw) })
    }

    /// Says where a layer has its weight on the runner's device: (out, in), or
    /// (in, out) for a Conv1D or a transposed parameter, of the options' dtype,
    /// with any distance between rows. It must be the model's own, where that
    /// has one. [`run_on_cuda`](LayerRunner::run_on_cuda) needs it.
    ///
    /// # Safety
    ///
    /// The memory is there, and holds the weight, until the runner was dropped,
    /// which waits for its work.
    pub unsafe fn set_weight(
        &mut self,
        layer: LayerNumber,
        weight: &CudaView<'_>,
    ) -> Result<()> {
        let set = sys::peft_layer_runner_set_weight;
        // SAFETY: As the caller promises; the view is valid for the call.
        check(unsafe { set(self.raw, layer.0, weight.0.as_raw()) })
    }

    /// As [`run`](LayerRunner::run), in the memory of the runner's CUDA device:
    /// puts the work on the stream of `options` and returns without waiting for
    /// it. Adapters are copied to the device when they first act there. A call
    /// on another stream than the last waits there for what was put on that.
    ///
    /// In a CUDA graph: run the same calls once before, uncaptured, or it fails
    /// with `CudaGraph`. A graph of calls that name no adapters runs what was
    /// active when [`update`](LayerRunner::update) was last called. More
    /// activations than the runner was made for are `CudaActivations`.
    ///
    /// # Safety
    ///
    /// - The stream is one of the device's primary context.
    /// - `x` and `y` do not overlap. Until the work has ended, as often as a
    ///   graph runs it, their memory is there; nobody writes to it, or reads
    ///   `y`, but in the order of streams.
    /// - A graph with this call in it is launched on the stream of the runner's
    ///   other calls, or put in order with them, as they share a workspace. It
    ///   runs no more when the runner is dropped.
    #[inline]
    pub unsafe fn run_on_cuda(
        &mut self,
        layer: LayerNumber,
        x: &CudaView<'_>,
        options: &RunLayerOptions<'_>,
        y: &CudaView<'_>,
    ) -> Result<()> {
        let (run, options) = (sys::peft_layer_runner_run, options.raw()?);
        let (x, y) = (x.0.as_raw(), y.0.as_raw());
        // SAFETY: As the caller promises; the views are valid for the call.
        check(unsafe { run(self.raw, layer.0, x, options, y) })
    }

    /// As [`add_delta`](LayerRunner::add_delta), in the memory of the runner's
    /// CUDA device and as [`run_on_cuda`](LayerRunner::run_on_cuda).
    ///
    /// # Safety
    ///
    /// As for `run_on_cuda`.
    #[inline]
    pub unsafe fn add_delta_on_cuda(
        &mut self,
        layer: LayerNumber,
        x: &CudaView<'_>,
        options: &RunLayerOptions<'_>,
        y: &CudaView<'_>,
    ) -> Result<()> {
        let (add, options) = (sys::peft_layer_runner_add_delta, options.raw()?);
        let (x, y) = (x.0.as_raw(), y.0.as_raw());
        // SAFETY: As above.
        check(unsafe { add(self.raw, layer.0, x, options, y) })
    }

    /// Makes what is active on the model now act in all work that is put on
    /// `stream` (a `CUstream`, or null) afterwards, graphs that were captured
    /// before included. Calls that are not captured do this by themselves.
    /// Fails with `CudaGraph`, and nothing has changed, where a captured graph
    /// lacks a step that it would need.
    ///
    /// # Safety
    ///
    /// The stream is null or one of the device's primary context.
    pub unsafe fn update(&mut self, stream: *mut c_void) -> Result<()> {
        // SAFETY: As the caller promises.
        check(unsafe { sys::peft_layer_runner_update(self.raw, stream) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::Device;

    #[test]
    fn a_view_says_where_its_elements_are() {
        let view = CudaView::new(4096, DType::F32, &[2, 3])
            .on_device(1)
            .with_strides(&[8, 1])
            .unwrap();
        let view = view.as_view();
        assert_eq!(view.device(), (Device::Cuda, 1));
        assert_eq!(view.strides(), Some(&[8, 1][..]));
        assert_eq!(view.to_raw().data as usize, 4096);
    }

    #[test]
    fn a_view_has_a_stride_for_each_size() {
        let view = CudaView::new(4096, DType::F32, &[2, 3]);
        let error = view.with_strides(&[1]).unwrap_err();
        assert_eq!(error.subject(), "strides");
    }

    #[test]
    fn elements_on_a_device_are_not_read() {
        let view = CudaView::new(4096, DType::F32, &[2]).as_view();
        assert_eq!(view.as_slice::<f32>(), None);
        assert_eq!(view.as_bytes(), None);
    }

    #[test]
    fn options_reach_the_librarys_struct() {
        let options = CudaOptions::new().dtype(DType::F16);
        // SAFETY: Nothing opens the file.
        let options = unsafe { options.driver_path("/driver") };
        // SAFETY: The struct lives as long as the options.
        let raw = unsafe { *options.raw().unwrap() };
        assert_eq!(raw.dtype, sys::PEFT_DTYPE_F16);
        assert_eq!(raw.max_rank, 64);
        assert!(!raw.driver_path.is_null() && raw.kernels_path.is_null());
        // SAFETY: As above.
        let nul = unsafe { CudaOptions::new().cublaslt_path("a\0b") };
        assert_eq!(nul.raw().unwrap_err().subject(), "a\0b");
    }
}
