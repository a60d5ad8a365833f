//! The verbs for adapters.

use peft::{
    estimate_adapter, fetch_adapter, inspect_adapter, AddAdapterOptions, Code,
    ErrorId, LoadOptions, ReportKind, SaveOptions, SetAdapterOptions,
    TensorView,
};

use crate::common::{adapter, answer, base, model, TempDir};

const CONFIG: &str = r#"{"peft_type": "LORA", "r": 4}"#;

#[test]
fn a_load_activates_and_reports() {
    let model = base();
    let report = model.load_adapter("german", adapter("german")).unwrap();
    assert_eq!(model.active_adapters().unwrap(), ["german"]);
    assert!(report.num_sites() > 0 && report.num_parameters() > 0);
    let matched = report.count(ReportKind::Matched);
    assert!(matched > 0 && matched <= report.count(None));
    let lines = report.lines();
    assert_eq!(lines.len(), report.count(None));
    let of_kind = lines.filter(|it| it.kind == ReportKind::Matched);
    assert_eq!(of_kind.count(), matched);
    assert!(report.lines().all(|it| !it.detail.is_empty()));
    let beyond = report.line(report.count(None)).unwrap_err();
    assert_eq!(beyond.id(), &ErrorId::Argument);
}

#[test]
fn no_name_is_default_for_a_load_and_else_the_first_active_one() {
    let model = base();
    assert_eq!(
        model.adapter_info(None).unwrap_err().code(),
        Code::FailedPrecondition
    );
    model.load_adapter(None, adapter("german")).unwrap();
    assert_eq!(model.list_adapters().unwrap(), ["default"]);
    assert!(model.adapter_info(None).unwrap().is_active);
}

#[test]
fn an_error_names_what_was_expected_and_found() {
    let model = model(&["german"]);
    let error = model.load_adapter("german", adapter("german")).unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    assert_eq!(error.id(), &ErrorId::AdapterExists);
    assert!(error.message().contains("german"), "{error}");

    let mut dict = model.adapter_state_dict("german").unwrap();
    let name = dict.names().next().unwrap().to_owned();
    let wrong = TensorView::new(&[0.0_f32; 6], &[2, 3]).unwrap();
    dict.set(&name, &wrong).unwrap();
    let config = model.adapter_config("german").unwrap();
    let error = model
        .load_adapter_from_memory("x", &config, &dict, &mut LoadOptions::new())
        .unwrap_err();
    assert_eq!(error.id(), &ErrorId::TensorShapeMismatch);
    assert!(error.subject().contains("lora_"), "{error:?}");
    assert!(!error.expected().is_empty());
    assert_eq!(error.found(), "[2, 3]");
}

#[test]
fn names_are_iterated_over_in_order() {
    let model = model(&["german", "roman", "french"]);
    let names = model.list_adapters().unwrap();
    assert_eq!(names, ["german", "roman", "french"]);
    assert_eq!((names.len(), names.is_empty()), (3, false));
    assert_eq!(names.to_vec()[1], "roman");
    assert_eq!(&names[2], "french");
    assert_eq!(names.get(3), None);
    let mut joined = String::new();
    for name in &names {
        joined += name;
    }
    assert_eq!(joined, "germanromanfrench");
}

#[test]
fn set_disable_enable_delete() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let roman = answer(&mut session);
    model.set_adapter(&["german"]).unwrap();
    let german = answer(&mut session);
    assert_ne!(german, roman);
    model.disable_adapters().unwrap();
    let english = answer(&mut session);
    assert_ne!(english, german);
    model.enable_adapters().unwrap();
    assert_eq!(answer(&mut session), german);
    model.set_adapter(&[]).unwrap();
    assert_eq!(answer(&mut session), english);
    model.delete_adapter(&["german"]).unwrap();
    assert_eq!(model.list_adapters().unwrap(), ["roman"]);
    let error = model.delete_adapter(&["roman", "gone"]).unwrap_err();
    assert_eq!(error.id(), &ErrorId::AdapterNotFound);
    assert!(model.has_adapter("roman").unwrap());
    assert!(!model.has_adapter("german").unwrap());
}

#[test]
fn scales_are_as_many_as_names() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let roman = answer(&mut session);
    let off = SetAdapterOptions::new().scales(&[0.0, 1.0]);
    model.set_adapter_with(&["german", "roman"], &off).unwrap();
    assert_eq!(answer(&mut session), roman);
    let error = model.set_adapter_with(&["german"], &off).unwrap_err();
    assert_eq!(error.subject(), "scales");
    assert_eq!(model.active_adapters().unwrap(), ["german", "roman"]);
}

#[test]
fn a_scale_belongs_to_the_adapter() {
    let model = model(&["german"]);
    let mut session = model.session().unwrap();
    let german = answer(&mut session);
    model.set_scale("german", 0.0).unwrap();
    assert_eq!(model.adapter_info("german").unwrap().scale, 0.0);
    assert_ne!(answer(&mut session), german);
    model.set_scale("german", 1.0).unwrap();
    assert_eq!(answer(&mut session), german);
}

#[test]
fn a_saved_adapter_is_the_same_again() {
    let model = model(&["german"]);
    let folder = TempDir::new();
    let path = folder.join("saved");
    model.save_adapter("german", &path, &SaveOptions::new()).unwrap();
    let again = model.save_adapter(None, &path, &SaveOptions::new());
    assert_eq!(again.unwrap_err().id(), &ErrorId::FileExists);
    let overwrite = SaveOptions::new().overwrite(true);
    model.save_adapter(None, &path, &overwrite).unwrap();
    // Its init took nothing from the base.
    let initial = path.to_str().unwrap();
    let converted =
        SaveOptions::new().path_initial_model_for_weight_conversion(initial);
    let refused = model.save_adapter(None, folder.join("x"), &converted);
    assert_eq!(refused.unwrap_err().id(), &ErrorId::Argument);

    let mut session = model.session().unwrap();
    let german = answer(&mut session);
    model.load_adapter("saved", &path).unwrap();
    assert_eq!(answer(&mut session), german);
    assert_eq!(model.adapter_source("saved").unwrap(), path);
}

#[test]
fn an_adapter_goes_through_memory() {
    let model = model(&["german"]);
    let mut session = model.session().unwrap();
    let german = answer(&mut session);
    let config = model.adapter_config("german").unwrap();
    let dict = model.adapter_state_dict("german").unwrap();
    model.unload().unwrap();
    let mut options = LoadOptions::new().is_trainable(true);
    model.load_adapter_from_memory("g", &config, &dict, &mut options).unwrap();
    drop(dict);
    assert_eq!(answer(&mut session), german);
    assert!(model.adapter_info("g").unwrap().is_trainable);
    assert_eq!(model.adapter_source("g").unwrap().as_os_str(), "");
}

#[test]
fn a_new_adapter_is_drawn_by_its_seed() {
    let model = base();
    for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        let options = AddAdapterOptions::new().seed(seed);
        model.add_adapter(name, CONFIG, &options).unwrap();
    }
    let bytes = |name| {
        let dict = model.adapter_state_dict(name).unwrap();
        let tensors = dict.iter().map(|(_, tensor)| {
            tensor.unwrap().view().unwrap().as_bytes().unwrap().to_vec()
        });
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(bytes("a"), bytes("b"));
    assert_ne!(bytes("a"), bytes("c"));
    let info = model.adapter_info("c").unwrap();
    assert_eq!((info.peft_type, info.rank), ("LORA", 4));
    assert!(info.is_trainable && info.is_active && !info.is_pinned);
}

#[test]
fn a_replacement_keeps_the_place() {
    let model = model(&["german", "roman"]);
    let mut session = model.session().unwrap();
    let roman = answer(&mut session);
    model.set_adapter(&["german"]).unwrap();
    let generation = model.adapter_info("german").unwrap().generation;
    let mut options = LoadOptions::new().expected_generation(generation);
    model.replace_adapter("german", adapter("roman"), &mut options).unwrap();
    assert_eq!(answer(&mut session), roman);
    let stale = model.replace_adapter("german", adapter("roman"), &mut options);
    assert_eq!(stale.unwrap_err().id(), &ErrorId::AdapterGeneration);

    let config = model.adapter_config("german").unwrap();
    let dict = model.adapter_state_dict("german").unwrap();
    let mut options = LoadOptions::new();
    model
        .replace_adapter_from_memory("roman", &config, &dict, &mut options)
        .unwrap();
    model.rename_adapter("roman", "latin").unwrap();
    assert_eq!(model.list_adapters().unwrap(), ["german", "latin"]);
}

#[test]
fn a_limit_evicts_what_is_not_pinned() {
    let model = model(&["german", "roman"]);
    model.pin_adapter("german", true).unwrap();
    assert!(model.adapter_info("german").unwrap().is_pinned);
    model.set_adapter_limit(0, 2).unwrap();
    model.set_adapter(&[]).unwrap();
    model.load_adapter("french", adapter("french")).unwrap();
    assert_eq!(model.list_adapters().unwrap(), ["german", "french"]);
    let gone = model.adapter_info("roman").unwrap_err();
    assert!(gone.message().contains("evicted"), "{gone}");
    let info = model.info().unwrap();
    assert!(info.num_adapters == 2 && info.adapter_bytes > 0);
}

#[test]
fn folders_are_described_before_they_are_loaded() {
    let path = adapter("german");
    let estimate = estimate_adapter(&path, None).unwrap();
    let model = model(&["german"]);
    let info = model.adapter_info("german").unwrap();
    assert!(estimate.size_bytes >= info.size_bytes);
    assert_eq!(estimate.num_parameters, info.num_parameters);
    assert!(estimate.file_bytes > 0 && estimate.num_tensors > 0);
    let json = inspect_adapter(&path, None, Some(&model)).unwrap();
    assert!(json.contains("\"runnable\""), "{json}");
    let folder = fetch_adapter(&path, &mut LoadOptions::new()).unwrap();
    assert_eq!(folder, path);
    let missing = fetch_adapter(&path, &mut LoadOptions::new().subfolder("x"));
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
}

#[test]
fn options_for_files_reach_the_load() {
    let model = base();
    let mut options = LoadOptions::new()
        .map_file(true)
        .lenient(true)
        .allow_unconverted_init(true)
        .subfolder("german");
    model.load_adapter_with("german", adapter(""), &mut options).unwrap();
    let info = model.adapter_info("german").unwrap();
    assert!(info.num_sites > 0 && info.size_bytes > 0);
}

#[test]
fn a_text_with_a_nul_is_refused_before_the_call() {
    let model = base();
    let mut options = LoadOptions::new().subfolder("a\0b");
    let error = model.load_adapter_with("x", adapter("german"), &mut options);
    assert_eq!(error.unwrap_err().id(), &ErrorId::Utf8);
    let error = model.load_adapter("a\0b", adapter("german")).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Utf8);
    assert!(model.list_adapters().unwrap().is_empty());
}
