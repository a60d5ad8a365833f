//! Layers within a program's own forward.

use std::sync::Arc;

use peft::{
    Activation, AddAdapterOptions, DType, ErrorId, FormKind, FormTensor,
    HostModel, Layer, LayerKind, LayerRunner, MergeOptions, Model,
    ModelOptions, Result, RunLayerOptions, TensorView, TensorViewMut,
};

const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const SIZES: [i64; 2] = [2, 3];
const X: [f32; 6] = [1.0, 0.0, -1.0, 0.5, 2.0, 1.0];
const CONFIG: &str = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4,
    "target_modules": ["proj"], "init_lora_weights": false}"#;

fn add(model: &Model, name: &str, seed: u64) {
    let options = AddAdapterOptions::new().seed(seed);
    model.add_adapter(name, CONFIG, &options).unwrap();
}

/// A linear layer "proj" with adapter "a".
fn model() -> Model {
    let weight = TensorView::new(&WEIGHT, &SIZES).unwrap();
    let layer = Layer::new("proj", LayerKind::Linear).weight(weight);
    let model = Model::create(&[layer], &mut ModelOptions::new()).unwrap();
    add(&model, "a", 1);
    model
}

fn x() -> TensorView<'static> {
    TensorView::new(&X, &[2, 3]).unwrap()
}

/// What the layer computes, by the call that allocates.
fn whole(model: &Model, options: &RunLayerOptions<'_>) -> Vec<f32> {
    let y = model.run_layer("proj", &x(), options).unwrap();
    y.view().unwrap().as_slice::<f32>().unwrap().to_vec()
}

/// `x W^T`, as a program's own code has it.
fn own(weight: &[f32]) -> [f32; 4] {
    let dot = |row: usize, out: usize| {
        (0..3).map(|i| X[3 * row + i] * weight[3 * out + i]).sum()
    };
    [dot(0, 0), dot(0, 1), dot(1, 0), dot(1, 1)]
}

fn add_delta(
    runner: &mut LayerRunner<'_>,
    model: &Model,
    y: &mut [f32; 4],
) -> Result<()> {
    let proj = model.find_layer("proj", None)?;
    let mut view = TensorViewMut::new(y, &[2, 2])?;
    runner.add_delta(proj, &x(), &RunLayerOptions::new(), &mut view)
}

fn assert_near(found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn a_runner_writes_to_the_programs_memory() {
    let model = model();
    let expected = whole(&model, &RunLayerOptions::new());
    let proj = model.find_layer("proj", None).unwrap();
    let mut runner = model.layer_runner().unwrap();
    let mut y = [7.0_f32; 6];
    // The rows lie apart.
    let mut view =
        TensorViewMut::with_strides(&mut y, &[2, 2], &[3, 1]).unwrap();
    runner.run(proj, &x(), &RunLayerOptions::new(), &mut view).unwrap();
    assert_eq!(y[..2], expected[..2]);
    assert_eq!(y[3..5], expected[2..]);
    assert_eq!((y[2], y[5]), (7.0, 7.0));
    let error = model.find_layer("no", None).unwrap_err();
    assert_eq!(error.id(), &ErrorId::LayerNotFound);
}

#[test]
fn a_delta_is_added_to_what_the_program_computed() {
    let model = model();
    let mut runner = model.layer_runner().unwrap();
    let mut y = own(&WEIGHT);
    add_delta(&mut runner, &model, &mut y).unwrap();
    assert_near(&y, &whole(&model, &RunLayerOptions::new()));
}

#[test]
fn a_weight_may_stay_hidden() {
    let layer =
        Layer::new("proj", LayerKind::Linear).hidden_weight(DType::F32, &SIZES);
    let hidden = Model::create(&[layer], &mut ModelOptions::new()).unwrap();
    add(&hidden, "a", 1);
    let mut runner = hidden.layer_runner().unwrap();
    let mut y = own(&WEIGHT);
    add_delta(&mut runner, &hidden, &mut y).unwrap();
    assert_near(&y, &whole(&model(), &RunLayerOptions::new()));
    let error = hidden.run_layer("proj", &x(), &RunLayerOptions::new());
    assert_eq!(error.unwrap_err().id(), &ErrorId::LayerWeight);
}

#[test]
fn a_shared_model_lives_as_long_as_its_runners() {
    let model = Arc::new(model());
    let expected = whole(&model, &RunLayerOptions::new());
    let proj = model.find_layer("proj", None).unwrap();
    let mut runner = LayerRunner::shared(model).unwrap();
    let y = std::thread::spawn(move || {
        let mut y = [0.0_f32; 4];
        let mut view = TensorViewMut::new(&mut y, &[2, 2]).unwrap();
        runner.run(proj, &x(), &RunLayerOptions::new(), &mut view).unwrap();
        y
    });
    assert_eq!(y.join().unwrap()[..], expected);
}

#[test]
fn rows_of_a_layer_have_adapters_of_their_own() {
    let model = model();
    let a = whole(&model, &RunLayerOptions::new());
    add(&model, "b", 2);
    let b = whole(&model, &RunLayerOptions::new());
    assert_ne!(a, b);
    let by_name = RunLayerOptions::new().adapter_names(&["b", "a"]);
    let mixed = [&b[..2], &a[2..]].concat();
    assert_near(&whole(&model, &by_name), &mixed);
    let activation = Activation::new(&model, &["a"], None).unwrap();
    let rows = [None, Some(&activation)];
    let by_value = RunLayerOptions::new().activations(&rows);
    let mixed = [&own(&WEIGHT)[..2], &a[2..]].concat();
    assert_near(&whole(&model, &by_value), &mixed);
}

#[test]
fn a_merge_writes_into_weights_that_it_may_write_to() {
    let expected = whole(&model(), &RunLayerOptions::new());
    let mut weight = WEIGHT;
    let view = TensorViewMut::new(&mut weight, &SIZES).unwrap();
    let layer =
        Layer::new("proj", LayerKind::Linear).writable_weights(view, None);
    let mut model =
        HostModel::new(vec![layer], &mut ModelOptions::new()).unwrap();
    add(&model, "a", 1);
    model.merge_adapter(&[], &MergeOptions::new()).unwrap();
    let merged = model.weight("proj").unwrap();
    assert_near(&own(merged.as_slice().unwrap()), &expected);
    assert!(model.bias("proj").is_none() && model.weight("no").is_none());
    model.unmerge_adapter().unwrap();
    assert_eq!(model.weight("proj").unwrap().as_slice(), Some(&WEIGHT[..]));
    drop(model);
    assert_eq!(weight, WEIGHT);
}

#[test]
fn what_a_merge_writes_to_is_no_other_adapters() {
    let mut weight = WEIGHT;
    let view = TensorViewMut::new(&mut weight, &SIZES).unwrap();
    let layer =
        Layer::new("proj", LayerKind::Linear).writable_weights(view, None);
    let other = TensorView::new(&WEIGHT, &SIZES).unwrap();
    let other = Layer::new("other", LayerKind::Linear).weight(other);
    let layers = vec![layer, other];
    let mut model = HostModel::new(layers, &mut ModelOptions::new()).unwrap();
    let saved = r#"{"peft_type": "LORA", "target_modules": ["other"],
        "modules_to_save": ["proj"]}"#;
    model.add_adapter("saved", saved, &AddAdapterOptions::new()).unwrap();
    add(&model, "a", 1);
    model.merge_adapter(&[], &MergeOptions::new()).unwrap();
    let merged = model.weight("proj").unwrap();
    assert_ne!(merged.as_slice(), Some(&WEIGHT[..]));
    let dict = model.adapter_state_dict("saved").unwrap();
    let tensor = dict.get("proj.weight").unwrap();
    assert_eq!(tensor.view().unwrap().as_slice(), Some(&WEIGHT[..]));
}

#[test]
fn what_acts_at_a_layer_is_lowered() {
    let model = model();
    let proj = model.find_layer("proj", None).unwrap();
    let lowered = model.lower_layer(proj, None).unwrap();
    assert_eq!((lowered.len(), lowered.is_empty()), (1, false));
    let form = lowered.forms().next().unwrap();
    assert_eq!((form.kind, form.scale), (FormKind::LowRank, 2.0));
    let tensor = |tensor| form.tensor(tensor).unwrap();
    let (a, b) = (tensor(FormTensor::A), tensor(FormTensor::B));
    assert_eq!((a.sizes(), b.sizes()), (&[2, 3][..], &[2, 2][..]));
    let gate = form.tensor(FormTensor::Gate).unwrap_err();
    assert_eq!(gate.id(), &ErrorId::TensorMissing);
    assert_eq!(lowered.form(1).unwrap_err().id(), &ErrorId::Argument);

    let (a, b) = (a.as_slice::<f32>().unwrap(), b.as_slice::<f32>().unwrap());
    let mut merged = WEIGHT;
    for (i, weight) in merged.iter_mut().enumerate() {
        let (out, column) = (i / 3, i % 3);
        let product = |r| b[2 * out + r] * a[3 * r + column];
        *weight += form.scale * (product(0) + product(1));
    }
    assert_near(&own(&merged), &whole(&model, &RunLayerOptions::new()));

    let base = Activation::new(&model, &[], None).unwrap();
    assert!(model.lower_layer(proj, Some(&base)).unwrap().is_empty());
}
