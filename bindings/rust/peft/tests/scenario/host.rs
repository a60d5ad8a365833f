//! Verbs of programs with layers of their own.

use std::collections::HashMap;

use peft::{
    DType, Form, FormKind, FormTensor, HostModel, Layer, LayerKind, Result,
    RunLayerOptions, StateDict, TensorView, TensorViewMut,
};

use crate::adapters::element_facts;
use crate::json::{object, Json};
use crate::models::{model_options, rows, view_facts};
use crate::runner::{Loaded, Runner, Step};

const FORMS: [(FormKind, &str); 6] = [
    (FormKind::ScaleIn, "scale_in"),
    (FormKind::Weight, "weight"),
    (FormKind::Rows, "rows"),
    (FormKind::LowRank, "low_rank"),
    (FormKind::ScaleOut, "scale_out"),
    (FormKind::Bias, "bias"),
];

const TENSORS: [(FormTensor, &str); 9] = [
    (FormTensor::A, "a"),
    (FormTensor::B, "b"),
    (FormTensor::RankScale, "rank_scale"),
    (FormTensor::Gate, "gate"),
    (FormTensor::Factor, "factor"),
    (FormTensor::Weight, "weight"),
    (FormTensor::Ids, "ids"),
    (FormTensor::Rows, "rows"),
    (FormTensor::Bias, "bias"),
];

/// A tensor of the program's.
struct Own {
    numbers: &'static mut [f32],
    sizes: &'static [i64],
}

type Owned = HashMap<String, Own>;

impl Runner {
    /// `None` where the verb is of another kind.
    pub fn host_verb(
        &mut self,
        verb: &str,
        step: &Step<'_>,
    ) -> Option<Result<Json>> {
        Some(match verb {
            "create_model" => self.create_model(step),
            "run_layer" => self.run_layer(step),
            "runner_run" => self.runner_run(step, false),
            "runner_add_delta" => self.runner_run(step, true),
            "lower_layer" => self.lower_layer(step),
            "host_weight" => Ok(self.host_weight(step)),
            _ => return None,
        })
    }

    fn create_model(&mut self, step: &Step<'_>) -> Result<Json> {
        let dict = StateDict::read(self.path(step.text("tensors")))?;
        let mut owned = Owned::new();
        for (name, tensor) in dict.iter() {
            let tensor = tensor?;
            let view = tensor.view()?;
            let numbers = view.as_slice::<f32>().expect("f32").to_vec();
            let sizes = view.sizes().to_vec().leak();
            let own = Own { numbers: numbers.leak(), sizes };
            owned.insert(name.to_owned(), own);
        }
        self.tensors.clear();
        let mut layers = Vec::new();
        for layer in step.get("layers").list() {
            let layer = Step(layer);
            for field in ["weight", "bias"] {
                if let Some(tensor) = layer.maybe(field) {
                    let place = (layer.text("name").to_owned(), field);
                    self.tensors.insert(tensor.text().to_owned(), place);
                }
            }
            layers.push(layer_of(&layer, &mut owned)?);
        }
        let model = HostModel::new(layers, &mut model_options())?;
        self.session = None;
        self.take_model(Loaded::Host(Box::leak(Box::new(model))))
    }

    fn run_layer(&mut self, step: &Step<'_>) -> Result<Json> {
        let (name, options) = (step.text("layer"), RunLayerOptions::new());
        let y =
            with_input(step, |x| self.model().run_layer(name, x, &options))?;
        Ok(view_facts("values", &y.view()?))
    }

    fn runner_run(&mut self, step: &Step<'_>, adds: bool) -> Result<Json> {
        let Some(Loaded::Host(model)) = self.model else {
            panic!("no layers of the program")
        };
        let layer = model.find_layer(step.text("layer"), None)?;
        if self.layer_runner.is_none() {
            self.layer_runner = Some(model.layer_runner()?);
        }
        let mut options = RunLayerOptions::new();
        if let Some(names) = step.maybe("adapter_names") {
            options = options.adapter_names(&names.texts());
        }
        let rows = rows(&self.activations, step);
        if let Some(rows) = &rows {
            options = options.activations(rows);
        }
        let sizes = step.get("y_shape").integers();
        let count = sizes.iter().product::<i64>() as usize;
        let mut y = match step.maybe("y") {
            Some(y) => y.floats(),
            None => vec![f32::NAN; count],
        };
        let mut view = TensorViewMut::new(&mut y, &sizes)?;
        let runner = self.layer_runner.as_mut().expect("a runner");
        with_input(step, |x| match adds {
            true => runner.add_delta(layer, x, &options, &mut view),
            false => runner.run(layer, x, &options, &mut view),
        })?;
        Ok(view_facts("values", &view.as_view()))
    }

    fn lower_layer(&mut self, step: &Step<'_>) -> Result<Json> {
        let model = self.model();
        let layer = model.find_layer(step.text("layer"), None)?;
        let activation =
            step.maybe("activation").map(|it| &self.activations[it.text()]);
        let lowered = model.lower_layer(layer, activation)?;
        let (mut kinds, mut scales, mut tensors) = (vec![], vec![], vec![]);
        for (index, form) in lowered.forms().enumerate() {
            let kind = FORMS.iter().find(|it| it.0 == form.kind);
            kinds.push(kind.expect("a form").1);
            scales.push(form.scale);
            tensors.extend(form_tensors(index as i64, &form));
        }
        Ok(object([
            ("kinds", kinds.into()),
            ("shape", vec![scales.len() as i64].into()),
            ("values", scales.into()),
            ("tensors", Json::List(tensors)),
        ]))
    }

    fn host_weight(&self, step: &Step<'_>) -> Json {
        let Some(Loaded::Host(model)) = &self.model else {
            panic!("no layers of the program")
        };
        let (layer, field) = &self.tensors[step.text("tensor")];
        // SAFETY: Nobody merges meanwhile.
        let view = unsafe {
            match *field {
                "weight" => model.weight_unchecked(layer),
                _ => model.bias_unchecked(layer),
            }
        };
        let view = view.expect("a tensor");
        let mut facts = element_facts(&view);
        let numbers = view.as_slice::<f32>().expect("f32");
        facts.insert("values", numbers.into());
        facts
    }
}

fn layer_of(step: &Step<'_>, owned: &mut Owned) -> Result<Layer<'static>> {
    let kind = match step.text("kind") {
        "other" => LayerKind::Other,
        "linear" => LayerKind::Linear,
        "conv1d_hf" => LayerKind::Conv1dHf,
        "embedding" => LayerKind::Embedding,
        other => panic!("kind {other}"),
    };
    let mut layer = Layer::new(step.text("name"), kind);
    let mut take = |key| {
        let name = step.maybe(key)?.text();
        Some(owned.remove(name).unwrap_or_else(|| panic!("no tensor {name}")))
    };
    let (weight, bias) = (take("weight"), take("bias"));
    if step.flag("writable_weights") {
        let view = |own: Own| TensorViewMut::new(own.numbers, own.sizes);
        let weight = view(weight.expect("a weight"))?;
        let bias = bias.map(view).transpose()?;
        return Ok(layer.writable_weights(weight, bias));
    }
    if let Some(bias) = bias {
        layer = layer.bias(TensorView::new(bias.numbers, bias.sizes)?);
    }
    if let Some(weight) = weight {
        layer = match step.flag("no_data") {
            true => layer.hidden_weight(DType::F32, weight.sizes),
            false => {
                layer.weight(TensorView::new(weight.numbers, weight.sizes)?)
            }
        };
    }
    Ok(match step.maybe("copy_weights") {
        Some(copies) => layer.copy_weights(copies.integer() != 0),
        None => layer,
    })
}

/// Calls `f` with the step's `x`, or its `ids`.
fn with_input<R>(
    step: &Step<'_>,
    f: impl FnOnce(&TensorView<'_>) -> Result<R>,
) -> Result<R> {
    let sizes = step.get("shape").integers();
    match step.maybe("ids") {
        Some(ids) => f(&TensorView::new(&ids.integers(), &sizes)?),
        None => f(&TensorView::new(&step.get("x").floats(), &sizes)?),
    }
}

fn form_tensors(index: i64, form: &Form<'_>) -> Vec<Json> {
    let facts = |&(tensor, name): &(FormTensor, &str)| {
        let view = match form.tensor(tensor) {
            Ok(view) => view,
            Err(error) => {
                assert_eq!(error.id(), &peft::ErrorId::TensorMissing);
                return None;
            }
        };
        let mut facts = element_facts(&view);
        facts.insert("form", index.into());
        facts.insert("name", name.into());
        Some(facts)
    };
    TENSORS.iter().filter_map(facts).collect()
}
