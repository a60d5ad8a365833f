//! Forward and generate.

use peft::{
    Activation, ErrorId, FinishReason, ForwardInput, ForwardOptions,
    GenerateOptions, Output, ReadMode, Session, SessionOptions, Task,
};

use crate::common::{answer, base, model, quickstart, PROMPT};

/// The logits of the last position.
fn last(logits: &[f32]) -> &[f32] {
    &logits[logits.len() - logits.len() / PROMPT.len()..]
}

#[test]
fn a_model_says_what_it_is() {
    let mut options =
        peft::ModelOptions::new().read_mode(ReadMode::Read).num_threads(1);
    let model =
        peft::Model::open_with(quickstart("base"), &mut options).unwrap();
    let info = model.info().unwrap();
    assert_eq!(info.model_type, "llama");
    assert_eq!(info.architecture, "LlamaForCausalLM");
    assert_eq!(info.task, Task::CausalLm);
    assert!(info.vocab_size > 0 && info.hidden_size > 0);
    assert!(info.num_layers > 0 && info.num_sites > info.num_layers);
    assert!(info.size_bytes >= 2 * info.num_parameters);
    assert!(info.max_position_embeddings > 0);
    assert_eq!((info.num_labels, info.num_token_types), (0, 0));
    assert_eq!((info.num_adapters, info.adapter_bytes), (0, 0));
}

#[test]
fn a_model_gets_the_head_that_is_asked_for() {
    let mut options = peft::ModelOptions::new()
        .task(Task::SequenceClassification)
        .num_labels(3)
        .pad_token_id(0);
    let model =
        peft::Model::open_with(quickstart("base"), &mut options).unwrap();
    let info = model.info().unwrap();
    assert_eq!(info.architecture, "LlamaForSequenceClassification");
    assert_eq!((info.task, info.num_labels), (Task::SequenceClassification, 3));
}

#[test]
fn a_forward_goes_on_after_the_cache() {
    let model = base();
    let mut session = model.session().unwrap();
    let all = ForwardOptions::new();
    let whole = session.forward(&ForwardInput::row(&PROMPT), &all).unwrap();
    assert_eq!(whole.sizes()[..2], [1, 6]);
    let expected = last(whole.as_slice::<f32>().unwrap()).to_vec();

    session.reset().unwrap();
    assert_eq!(session.cache_length(), 0);
    session.compute(&ForwardInput::row(&PROMPT[..4]), &all).unwrap();
    assert_eq!(session.cache_length(), 4);
    let one = ForwardOptions::new().logits_to_keep(1);
    let rest = ForwardInput::row(&PROMPT[4..]);
    let logits = session.forward(&rest, &one).unwrap();
    assert_eq!(logits.sizes()[1], 1);
    let logits = logits.as_slice::<f32>().unwrap();
    for (&found, &expected) in logits.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

#[test]
fn outputs_are_lent_after_the_forward() {
    let model = base();
    let mut session = model.session().unwrap();
    let input = ForwardInput::row(&PROMPT);
    let outputs = [Output::LastHiddenState, Output::Logits];
    session.compute(&input, &ForwardOptions::new().outputs(&outputs)).unwrap();
    let hidden = session.output(Output::LastHiddenState).unwrap();
    let logits = session.output(Output::Logits).unwrap();
    let info = model.info().unwrap();
    assert_eq!(hidden.sizes(), [1, 6, info.hidden_size]);
    assert_eq!(logits.sizes(), [1, 6, info.vocab_size]);
    let error = session.output(Output::PoolerOutput).unwrap_err();
    assert_eq!(error.id(), &ErrorId::OutputNotComputed);
}

#[test]
fn a_cache_has_the_adapters_that_it_was_written_under() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let input = ForwardInput::row(&PROMPT);
    session.compute(&input, &ForwardOptions::new()).unwrap();
    model.set_adapter(&["german"]).unwrap();
    let error = session.compute(&input, &ForwardOptions::new()).unwrap_err();
    assert_eq!(error.id(), &ErrorId::ActivationChanged);
    let allow = ForwardOptions::new().allow_activation_change(true);
    session.compute(&input, &allow).unwrap();
}

#[test]
fn rows_have_adapters_of_their_own() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let roman = answer(&mut session);
    model.set_adapter(&["german"]).unwrap();
    let german = answer(&mut session);
    model.set_adapter(&[]).unwrap();
    let english = answer(&mut session);

    let ids = [PROMPT; 3].concat();
    let input = ForwardInput::batch(&ids, 3).unwrap();
    let expected = [&german[..], &english, &roman];
    let mut by_name = GenerateOptions::new()
        .max_new_tokens(64)
        .adapter_names(&["german", "__base__", "roman"]);
    let result = session.generate(&input, &mut by_name).unwrap();
    let rows = result.rows().map(|row| row.tokens).collect::<Vec<_>>();
    assert_eq!(rows, expected);

    let german = Activation::new(&model, &["german"], None).unwrap();
    let roman = Activation::new(&model, &["roman"], Some(&[1.0])).unwrap();
    let rows = [Some(&german), None, Some(&roman)];
    let mut by_value =
        GenerateOptions::new().max_new_tokens(64).activations(&rows);
    let result = session.generate(&input, &mut by_value).unwrap();
    let rows = result.into_iter().map(|row| row.tokens).collect::<Vec<_>>();
    assert_eq!(rows, expected);
    assert!(Activation::new(&model, &["roman"], Some(&[])).is_err());
}

#[test]
fn forward_options_have_rows_too() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let input = ForwardInput::row(&PROMPT);
    let mut logits = |options: &ForwardOptions<'_>| {
        session.reset().unwrap();
        let view = session.forward(&input, options).unwrap();
        view.as_slice::<f32>().unwrap().to_vec()
    };
    let roman = logits(&ForwardOptions::new());
    let named = ForwardOptions::new().adapter_names(&["german"]);
    let german = logits(&named);
    assert_ne!(german, roman);
    let activation = Activation::new(&model, &["german"], None).unwrap();
    let rows = [Some(&activation)];
    assert_eq!(logits(&ForwardOptions::new().activations(&rows)), german);
}

#[test]
fn padding_is_not_attended_to() {
    let model = base();
    let mut session = model.session().unwrap();
    let alone = answer(&mut session);
    let ids = [&[0, 0][..], &PROMPT].concat();
    let mask = [0, 0, 1, 1, 1, 1, 1, 1];
    let input = ForwardInput::row(&ids).attention_mask(&mask).unwrap();
    let mut options = GenerateOptions::new().max_new_tokens(64);
    let result = session.generate(&input, &mut options).unwrap();
    assert_eq!(result.tokens(0), Some(&alone[..]));
}

#[test]
fn positions_and_token_types_reach_the_forward() {
    let model = base();
    let mut session = model.session().unwrap();
    let input = ForwardInput::row(&PROMPT);
    let mut logits = |input: &ForwardInput<'_>| {
        session.reset().unwrap();
        let view = session.forward(input, &ForwardOptions::new())?;
        Ok::<_, peft::Error>(view.as_slice::<f32>().unwrap().to_vec())
    };
    let plain = logits(&input).unwrap();
    let same = input.position_ids(&[0, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!(logits(&same).unwrap(), plain);
    let other = input.position_ids(&[0, 1, 2, 3, 4, 9]).unwrap();
    assert_ne!(logits(&other).unwrap(), plain);
    let types = input.token_type_ids(&[0; 6]).unwrap();
    assert!(logits(&types).is_err(), "llama has no token types");
}

#[test]
fn a_row_ends_for_a_reason() {
    let model = base();
    let mut session = model.session().unwrap();
    let input = ForwardInput::row(&PROMPT);
    let whole = answer(&mut session);
    let mut reason = |options: GenerateOptions<'_>| {
        let mut options = options;
        let result = session.generate(&input, &mut options).unwrap();
        assert_eq!((result.num_rows(), result.rows().len()), (1, 1));
        assert_eq!(result.tokens(1), None);
        assert_eq!(result.finish_reason(1), None);
        let count = result.tokens(0).unwrap().len();
        (count, result.finish_reason(0).unwrap())
    };
    let new = || GenerateOptions::new().max_new_tokens(64);
    assert_eq!(reason(new()), (whole.len(), FinishReason::Eos));
    assert_eq!(reason(new().max_new_tokens(3)), (3, FinishReason::Length));
    let stop = new().stop_sequences(&[&[99], &whole[2..4]]);
    assert_eq!(reason(stop), (4, FinishReason::Stop));
    let eos = [whole[1]];
    assert_eq!(reason(new().eos_token_ids(&eos)), (2, FinishReason::Eos));
    assert_eq!(reason(new().ignore_eos(true)).1, FinishReason::Length);
}

#[test]
fn equal_seeds_draw_equal_tokens() {
    let model = base();
    let mut session = model.session().unwrap();
    let mut draw = |seed| {
        let mut options = GenerateOptions::new()
            .max_new_tokens(16)
            .do_sample(true)
            .temperature(3.0)
            .top_k(20)
            .top_p(0.99)
            .min_p(0.001)
            .repetition_penalty(1.1)
            .seed(seed);
        let input = ForwardInput::row(&PROMPT);
        let result = session.generate(&input, &mut options).unwrap();
        result.tokens(0).unwrap().to_vec()
    };
    assert_eq!(draw(7), draw(7));
    assert!((0..8).any(|seed| draw(seed) != draw(7)));
}

#[test]
fn a_session_has_a_limit_and_outlives_its_model() {
    let model = base();
    let options = SessionOptions::new().max_length(4);
    let mut session = Session::new(&model, &options).unwrap();
    drop(model);
    let error = session
        .compute(&ForwardInput::row(&PROMPT), &ForwardOptions::new())
        .unwrap_err();
    assert_eq!(error.id(), &ErrorId::SequenceTooLong);
    session
        .compute(&ForwardInput::row(&PROMPT[..4]), &ForwardOptions::new())
        .unwrap();
}

#[test]
fn layers_are_replicated_in_ranges() {
    let layers = base().info().unwrap().num_layers;
    let ranges = [[0, layers], [layers - 1, layers]];
    let mut options = peft::ModelOptions::new().layer_replication(&ranges);
    let model =
        peft::Model::open_with(quickstart("base"), &mut options).unwrap();
    assert_eq!(model.info().unwrap().num_layers, layers + 1);
}
