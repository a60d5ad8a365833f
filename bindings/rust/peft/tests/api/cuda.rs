//! Layers on CUDA devices, as far as a machine without one goes.

use std::sync::Arc;

use peft::{
    CudaOptions, CudaView, DType, ErrorId, HostModel, Layer, LayerKind,
    LayerRunner, Model, ModelOptions, RunLayerOptions, TensorView,
    TensorViewMut,
};

const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const X: [f32; 3] = [1.0, 0.0, -1.0];

fn layer() -> Layer<'static> {
    let weight = TensorView::new(&WEIGHT, &[2, 3]).unwrap();
    Layer::new("proj", LayerKind::Linear).weight(weight)
}

/// A linear layer "proj".
fn model() -> Model {
    Model::create(&[layer()], &mut ModelOptions::new()).unwrap()
}

#[test]
fn a_runner_on_cuda_needs_a_driver() {
    // SAFETY: There is no such file.
    let options = unsafe { CudaOptions::new().driver_path("/no/driver") };
    let model = Arc::new(model());
    let error = model.cuda_layer_runner(&options).unwrap_err();
    assert_eq!(error.id(), &ErrorId::CudaDriver);
    let error = LayerRunner::shared_cuda(model, &options).unwrap_err();
    assert_eq!(error.id(), &ErrorId::CudaDriver);
    let host = HostModel::new(vec![layer()], &mut ModelOptions::new());
    let host = Arc::new(host.unwrap());
    let error = LayerRunner::shared_host_cuda(host, &options).unwrap_err();
    assert_eq!(error.id(), &ErrorId::CudaDriver);
}

#[test]
fn options_are_checked_before_the_driver_is_opened() {
    let model = model();
    for options in [
        CudaOptions::new().dtype(DType::I32),
        CudaOptions::new().adapter_dtype(DType::F64),
        CudaOptions::new().max_adapters(0),
        CudaOptions::new().max_rank(0),
        CudaOptions::new().max_activations(1025),
        CudaOptions::new().adapter_bytes(0),
    ] {
        let error = model.cuda_layer_runner(&options).unwrap_err();
        assert_eq!(error.id(), &ErrorId::Argument, "{options:?}");
    }
}

#[test]
fn a_runner_on_the_cpu_refuses_what_is_of_cuda() {
    let model = model();
    let proj = model.find_layer("proj", None).unwrap();
    let mut runner = model.layer_runner().unwrap();
    let options = RunLayerOptions::new();
    let view = |sizes| CudaView::new(4096, DType::F32, sizes);
    let (x, y) = (view(&[1, 3]), view(&[1, 2]));
    let weight = view(&[2, 3]);
    // SAFETY: No call follows what it is given.
    let results = unsafe {
        [
            runner.run_on_cuda(proj, &x, &options, &y),
            runner.add_delta_on_cuda(proj, &x, &options, &y),
            runner.set_weight(proj, &weight),
            runner.update(std::ptr::null_mut()),
        ]
    };
    for result in results {
        assert_eq!(result.unwrap_err().id(), &ErrorId::Argument);
    }
}

#[test]
fn a_runner_on_the_cpu_has_no_streams() {
    let model = model();
    let proj = model.find_layer("proj", None).unwrap();
    let mut runner = model.layer_runner().unwrap();
    let x = TensorView::new(&X, &[1, 3]).unwrap();
    let mut y = [7.0_f32; 2];
    let stream = 8 as *mut std::ffi::c_void;
    let options = RunLayerOptions::new().stream(stream);
    let mut view = TensorViewMut::new(&mut y, &[1, 2]).unwrap();
    let error = runner.run(proj, &x, &options, &mut view).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Argument);
    assert_eq!(y, [7.0, 7.0]);
}
