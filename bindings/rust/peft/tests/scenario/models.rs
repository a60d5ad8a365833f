//! Verbs of models, layers and sessions.

use std::ops::ControlFlow;

use peft::{
    Activation, FinishReason, ForwardInput, ForwardOptions, GenerateOptions,
    GenerateResult, Model, ModelOptions, Output, ReadMode, Result, Session,
    SessionOptions, TensorView,
};

use crate::json::{object, Json};
use crate::runner::{Loaded, Runner, Step};

impl Runner {
    /// `None` where the verb is of another kind.
    pub fn model_verb(
        &mut self,
        verb: &str,
        step: &Step<'_>,
    ) -> Option<Result<Json>> {
        Some(match verb {
            "open_model" => self.open_model(step),
            "create_session" => self.create_session(step),
            "reset_session" => self.session().reset().map(|()| object([])),
            "cache_length" => {
                let length = self.session().cache_length();
                Ok(object([("length", length.into())]))
            }
            "forward" => self.forward(step),
            "get_output" => self.get_output(step),
            "generate" => self.generate(step),
            _ => return None,
        })
    }

    fn open_model(&mut self, step: &Step<'_>) -> Result<Json> {
        let path = self.path(step.text("path"));
        let model = Model::open_with(path, &mut model_options())?;
        self.session = Some(model.session()?);
        self.take_model(Loaded::Model(model))
    }

    /// Frees what was there.
    pub fn take_model(&mut self, model: Loaded) -> Result<Json> {
        let facts = model_facts(&model)?;
        self.layer_runner = None;
        self.activations.clear();
        self.model = Some(model);
        Ok(facts)
    }

    fn create_session(&mut self, step: &Step<'_>) -> Result<Json> {
        let options =
            SessionOptions::new().max_length(step.integer("max_length"));
        self.session = Some(Session::new(self.model(), &options)?);
        Ok(object([]))
    }

    fn forward(&mut self, step: &Step<'_>) -> Result<Json> {
        if !step.flag("keep_cache") {
            self.session().reset()?;
        }
        let batch = Batch::new(step);
        let mut options = ForwardOptions::new()
            .logits_to_keep(step.integer("logits_to_keep"));
        if let Some(names) = step.maybe("adapter_names") {
            options = options.adapter_names(&names.texts());
        }
        let rows = rows(&self.activations, step);
        if let Some(rows) = &rows {
            options = options.activations(rows);
        }
        let session = self.session.as_mut().expect("a session");
        if let Some(outputs) = step.maybe("outputs") {
            let outputs: Vec<_> =
                outputs.texts().into_iter().map(output).collect();
            let options = options.outputs(&outputs);
            session.compute(&batch.input()?, &options)?;
            return Ok(object([]));
        }
        let view = session.forward(&batch.input()?, &options)?;
        let logits = view.as_slice::<f32>().expect("f32").to_vec();
        let facts = view_facts("logits", &view);
        if let Some(name) = step.maybe("equal_to") {
            let bits = |it: &[f32]| {
                it.iter().map(|it| it.to_bits()).collect::<Vec<_>>()
            };
            let saved = &self.saved[name.text()];
            assert_eq!(bits(saved), bits(&logits), "not equal bit by bit");
        }
        if let Some(name) = step.maybe("save_as") {
            self.saved.insert(name.text().to_owned(), logits);
        }
        Ok(facts)
    }

    fn get_output(&mut self, step: &Step<'_>) -> Result<Json> {
        let view = self.session().output(output(step.text("output")))?;
        Ok(view_facts("values", &view))
    }

    fn generate(&mut self, step: &Step<'_>) -> Result<Json> {
        let batch = Batch::new(step);
        let eos = step.maybe("eos_token_ids").map(Json::integers);
        let rows = rows(&self.activations, step);
        let cancel_after = step.maybe("cancel_after").map(Json::integer);
        let (mut streamed, mut count) = (vec![Vec::new(); batch.rows], 0);
        let mut options =
            generate_options(step, eos.as_deref(), rows.as_deref());
        if step.flag("stream") || cancel_after.is_some() {
            options = options.on_token(|row, token| {
                streamed[row as usize].push(token);
                count += 1;
                match Some(count) == cancel_after {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
        }
        let session = self.session.as_mut().expect("a session");
        let result = session.generate(&batch.input()?, &mut options)?;
        drop(options);
        if step.flag("stream") {
            assert!(result.rows().map(|row| row.tokens).eq(&streamed));
        }
        Ok(generated(&result))
    }
}

fn generate_options<'a>(
    step: &Step<'_>,
    eos: Option<&'a [i64]>,
    rows: Option<&[Option<&'a Activation>]>,
) -> GenerateOptions<'a> {
    let stops = step.maybe("stop_sequences").map_or(&[][..], Json::list);
    let stops: Vec<_> = stops.iter().map(Json::integers).collect();
    let stops: Vec<_> = stops.iter().map(Vec::as_slice).collect();
    let mut options = GenerateOptions::new()
        .max_new_tokens(step.integer("max_new_tokens"))
        .ignore_eos(step.flag("ignore_eos"))
        .stop_sequences(&stops);
    if let Some(eos) = eos {
        options = options.eos_token_ids(eos);
    }
    if let Some(names) = step.maybe("adapter_names") {
        options = options.adapter_names(&names.texts());
    }
    match rows {
        Some(rows) => options.activations(rows),
        None => options,
    }
}

pub fn model_options() -> ModelOptions<'static> {
    ModelOptions::new().read_mode(ReadMode::Map).num_threads(1)
}

fn model_facts(model: &Model) -> Result<Json> {
    let info = model.info()?;
    Ok(object([
        ("model_type", info.model_type.into()),
        ("architecture", info.architecture.into()),
        ("vocab_size", info.vocab_size.into()),
        ("hidden_size", info.hidden_size.into()),
        ("num_layers", info.num_layers.into()),
        ("max_position_embeddings", info.max_position_embeddings.into()),
        ("num_parameters", info.num_parameters.into()),
        ("size_bytes", info.size_bytes.into()),
        ("num_sites", info.num_sites.into()),
        ("num_adapters", info.num_adapters.into()),
        ("adapter_bytes", info.adapter_bytes.into()),
        ("task", i64::from(i32::from(info.task)).into()),
        ("num_labels", info.num_labels.into()),
        ("num_token_types", info.num_token_types.into()),
    ]))
}

pub fn view_facts(name: &str, view: &TensorView<'_>) -> Json {
    let numbers = view.as_slice::<f32>().expect("f32");
    object([("shape", view.sizes().into()), (name, numbers.into())])
}

fn output(name: &str) -> Output {
    match name {
        "logits" => Output::Logits,
        "last_hidden_state" => Output::LastHiddenState,
        "pooler_output" => Output::PoolerOutput,
        other => panic!("output {other}"),
    }
}

/// Activations by name, "" for the base model.
pub fn rows<'a>(
    activations: &'a std::collections::HashMap<String, Activation>,
    step: &Step<'_>,
) -> Option<Vec<Option<&'a Activation>>> {
    let names = step.maybe("activations")?.texts();
    let row = |name| match name {
        "" => None,
        name => Some(&activations[name]),
    };
    Some(names.into_iter().map(row).collect())
}

/// The ids of a step.
struct Batch {
    rows: usize,
    ids: Vec<i64>,
    mask: Option<Vec<i64>>,
}

impl Batch {
    fn new(step: &Step<'_>) -> Self {
        let flat = |rows: &Json| -> Vec<i64> {
            rows.list().iter().flat_map(Json::integers).collect()
        };
        Batch {
            rows: step.get("ids").list().len(),
            ids: flat(step.get("ids")),
            mask: step.maybe("attention_mask").map(flat),
        }
    }

    fn input(&self) -> Result<ForwardInput<'_>> {
        let input = ForwardInput::batch(&self.ids, self.rows)?;
        match &self.mask {
            Some(mask) => input.attention_mask(mask),
            None => Ok(input),
        }
    }
}

fn generated(result: &GenerateResult) -> Json {
    let finish = |reason| match reason {
        FinishReason::Length => "length",
        FinishReason::Eos => "eos",
        FinishReason::Stop => "stop",
        other => panic!("{other:?}"),
    };
    let tokens: Vec<_> = result.rows().map(|row| row.tokens).collect();
    let reasons: Vec<_> =
        result.rows().map(|row| finish(row.finish_reason)).collect();
    object([("tokens", tokens.into()), ("finish", reasons.into())])
}
