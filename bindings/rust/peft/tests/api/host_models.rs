//! Models of programs that run their own forward.

use peft::{
    AddAdapterOptions, DType, ErrorId, HostModel, Layer, LayerKind, Model,
    ModelOptions, RunLayerOptions, SetAdapterOptions, TensorView,
};

use crate::common::base;

const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const SIZES: [i64; 2] = [2, 3];

fn linear(name: &str) -> Layer<'static> {
    let weight = TensorView::new(&WEIGHT, &SIZES).unwrap();
    Layer::new(name, LayerKind::Linear).weight(weight)
}

fn run(model: &Model, name: &str, x: &[f32]) -> Vec<f32> {
    let sizes = [1, x.len() as i64];
    let x = TensorView::new(x, &sizes).unwrap();
    let y = model.run_layer(name, &x, &RunLayerOptions::new()).unwrap();
    y.view().unwrap().as_slice::<f32>().unwrap().to_vec()
}

#[test]
fn a_layer_computes_with_its_adapter() {
    let bias = [10.0_f32, 20.0];
    let bias = TensorView::new(&bias, &[2]).unwrap();
    let layers = [
        Layer::new("block", LayerKind::Other),
        linear("block.proj").bias(bias),
        linear("lm_head").is_output_embedding(true),
    ];
    let model = Model::create(&layers, &mut ModelOptions::new()).unwrap();
    drop(layers);
    assert_eq!(run(&model, "block.proj", &[1.0, 0.0, 0.0]), [11.0, 24.0]);

    let config = r#"{"peft_type": "LORA", "r": 1, "lora_alpha": 1,
        "target_modules": "all-linear", "init_lora_weights": false}"#;
    model.add_adapter("a", config, &AddAdapterOptions::new()).unwrap();
    assert_eq!(model.adapter_info("a").unwrap().num_sites, 1);
    assert_ne!(run(&model, "block.proj", &[1.0, 0.0, 0.0]), [11.0, 24.0]);
    assert_eq!(run(&model, "lm_head", &[1.0, 0.0, 0.0]), [1.0, 4.0]);
    let off = SetAdapterOptions::new().scales(&[0.0]);
    model.set_adapter_with(&["a"], &off).unwrap();
    assert_eq!(run(&model, "block.proj", &[1.0, 0.0, 0.0]), [11.0, 24.0]);

    assert_eq!(model.info().unwrap().model_type, "");
    let error = model.session().unwrap_err();
    assert_eq!(error.id(), &ErrorId::ModelNotRunnable);
}

#[test]
fn borrowed_weights_are_used_where_they_lie() {
    let mut weight = WEIGHT;
    let config = r#"{"peft_type": "LORA", "r": 1,
        "target_modules": ["proj"], "modules_to_save": ["head"]}"#;
    let saved = {
        let view = TensorView::new(&weight, &SIZES).unwrap();
        let layers = ["proj", "head"].map(|name| {
            let layer = Layer::new(name, LayerKind::Linear);
            layer.weight(view).copy_weights(false)
        });
        let layers = layers.into();
        let model = HostModel::new(layers, &mut ModelOptions::new()).unwrap();
        assert_eq!(run(&model, "proj", &[0.0, 1.0, 0.0]), [2.0, 5.0]);
        model.add_adapter("a", config, &AddAdapterOptions::new()).unwrap();
        model.adapter_state_dict("a").unwrap().get("head.weight").unwrap()
    };
    // What outlives the model has memory of its own.
    weight.fill(0.0);
    assert_eq!(saved.view().unwrap().as_slice(), Some(&WEIGHT[..]));
}

#[test]
fn weights_may_be_strided() {
    let sizes = [3, 2];
    let weight = TensorView::with_strides(&WEIGHT, &sizes, &[1, 3]).unwrap();
    let layer = || Layer::new("proj", LayerKind::Linear).weight(weight);
    let model = Model::create(&[layer()], &mut ModelOptions::new()).unwrap();
    assert_eq!(run(&model, "proj", &[1.0, 0.0]), [1.0, 2.0, 3.0]);
    let borrowed = vec![layer().copy_weights(false)];
    let model = HostModel::new(borrowed, &mut ModelOptions::new()).unwrap();
    assert_eq!(run(&model, "proj", &[1.0, 0.0]), [1.0, 2.0, 3.0]);
}

#[test]
fn borrowed_weights_have_lines_without_gaps() {
    let sizes = [2, 2];
    let weight = TensorView::with_strides(&WEIGHT, &sizes, &[3, 2]).unwrap();
    let layer = || Layer::new("proj", LayerKind::Linear).weight(weight);
    let copied = Model::create(&[layer()], &mut ModelOptions::new()).unwrap();
    assert_eq!(run(&copied, "proj", &[1.0, 0.0]), [1.0, 4.0]);
    let borrowed = vec![layer().copy_weights(false)];
    let error = HostModel::new(borrowed, &mut ModelOptions::new()).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Argument);
}

#[test]
fn a_convolution_has_its_numbers() {
    let weight = TensorView::new(&[1.0_f32, 1.0], &[1, 1, 2]).unwrap();
    let layer = Layer::new("conv", LayerKind::Conv)
        .weight(weight)
        .stride([2, 1, 1])
        .padding([1, 0, 0])
        .padding_end([0, 0, 0])
        .dilation([1, 1, 1])
        .groups(1);
    let model = Model::create(&[layer], &mut ModelOptions::new()).unwrap();
    let x = TensorView::new(&[1.0_f32, 2.0, 3.0], &[1, 1, 3]).unwrap();
    let y = model.run_layer("conv", &x, &RunLayerOptions::new()).unwrap();
    let y = y.view().unwrap();
    assert_eq!(y.as_slice(), Some(&[1.0_f32, 5.0][..]));
}

#[test]
fn a_parameter_has_experts() {
    let weight = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let weight = TensorView::new(&weight, &[2, 2, 2]).unwrap();
    let layer = Layer::new("experts.w", LayerKind::Parameter)
        .weight(weight)
        .is_transposed(true);
    let model = Model::create(&[layer], &mut ModelOptions::new()).unwrap();
    let x = TensorView::new(&[1.0_f32, 0.0], &[1, 2]).unwrap();
    let second = RunLayerOptions::new().expert(1);
    let y = model.run_layer("experts.w", &x, &second).unwrap();
    assert_eq!(y.view().unwrap().as_slice(), Some(&[5.0_f32, 6.0][..]));
}

#[test]
fn a_norm_and_an_embedding_are_layers() {
    let ones = [1.0_f32; 2];
    let table = [1.0_f32, 2.0, 3.0, 4.0];
    let layers = [
        Layer::new("norm", LayerKind::RmsNorm)
            .weight(TensorView::new(&ones, &[2]).unwrap())
            .epsilon(0.5),
        Layer::new("wte", LayerKind::Embedding)
            .weight(TensorView::new(&table, &[2, 2]).unwrap()),
    ];
    let model = Model::create(&layers, &mut ModelOptions::new()).unwrap();
    let norm = run(&model, "norm", &[1.0, 1.0]);
    assert!((norm[0] - 1.5_f32.sqrt().recip()).abs() < 1e-6, "{norm:?}");
    let ids = TensorView::new(&[1_i32], &[1]).unwrap();
    let y = model.run_layer("wte", &ids, &RunLayerOptions::new()).unwrap();
    assert_eq!(y.view().unwrap().as_slice(), Some(&[3.0_f32, 4.0][..]));
}

#[test]
fn layers_of_opened_models_run_too() {
    let model = base();
    let info = model.info().unwrap();
    let width = info.hidden_size as usize;
    let name = "model.layers.0.self_attn.q_proj";
    assert!(!run(&model, name, &vec![1.0; width]).is_empty());
    let bytes = vec![0_u8; 2 * width];
    let sizes = [info.hidden_size];
    let x = TensorView::from_bytes(&bytes, DType::Bf16, &sizes).unwrap();
    assert!(model.run_layer(name, &x, &RunLayerOptions::new()).is_ok());
    let error = model.run_layer("no", &x, &RunLayerOptions::new());
    assert_eq!(error.unwrap_err().id(), &ErrorId::LayerNotFound);
}
