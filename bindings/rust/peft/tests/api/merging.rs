//! Merging, combining, probing.

use std::ops::ControlFlow;

use peft::{
    AddAdapterOptions, Code, Combination, CombineOptions, ErrorId,
    MajoritySign, MergeAndUnloadOptions, MergeOptions, Model, ModelOptions,
    ProbeOptions, WeightFormat,
};

use crate::common::{answer, base, model, quickstart, TempDir};

#[test]
fn merging_keeps_the_answer_and_unmerging_the_base() {
    let model = model(&["german"]);
    let mut session = model.session().unwrap();
    let german = answer(&mut session);
    let options = MergeOptions::new().safe_merge(true);
    model.merge_adapter(&[], &options).unwrap();
    assert_eq!(model.merged_adapters().unwrap(), ["german"]);
    assert_eq!(answer(&mut session), german);
    let error = model.delete_adapter(&["german"]).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Merged);
    model.unmerge_adapter().unwrap();
    assert!(model.merged_adapters().unwrap().is_empty());
    assert_eq!(answer(&mut session), german);
    let scales = MergeOptions::new().scales(&[1.0, 1.0]);
    let error = model.merge_adapter(&["german"], &scales).unwrap_err();
    assert_eq!(error.subject(), "scales");
}

#[test]
fn a_merged_model_is_a_folder() {
    let model = model(&["german", "roman"]);
    let folder = TempDir::new();
    let path = folder.join("merged");
    let mut progress = Vec::new();
    let mut options = MergeAndUnloadOptions::new()
        .names(&["german"])
        .scales(&[1.0])
        .safe_merge(true)
        .on_progress(|done, total| {
            progress.push((done, total));
            ControlFlow::Continue(())
        });
    model.merge_and_unload(&path, &mut options).unwrap();
    drop(options);
    let &(done, total) = progress.last().unwrap();
    assert!(done == total && progress.windows(2).all(|it| it[0] <= it[1]));

    model.set_adapter(&["german"]).unwrap();
    let german = answer(&mut model.session().unwrap());
    let merged = Model::open(&path).unwrap();
    assert_eq!(answer(&mut merged.session().unwrap()), german);
}

#[test]
fn writing_a_merged_model_can_be_cancelled() {
    let model = model(&["german"]);
    let folder = TempDir::new();
    let path = folder.join("merged");
    let mut options =
        MergeAndUnloadOptions::new().on_progress(|_, _| ControlFlow::Break(()));
    let error = model.merge_and_unload(&path, &mut options).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert!(!path.exists());
}

/// Two adapters that do something and may be combined.
fn drawn() -> Model {
    let model = base();
    let config = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 64,
        "init_lora_weights": false}"#;
    for (name, seed) in [("a", 1), ("b", 2)] {
        let options = AddAdapterOptions::new().seed(seed);
        model.add_adapter(name, config, &options).unwrap();
    }
    model
}

#[test]
fn adapters_become_one() {
    let model = drawn();
    let mut session = model.session().unwrap();
    let b = answer(&mut session);
    let cat = CombineOptions::new().combination_type(Combination::Cat);
    let sources = [("b", 1.0), ("a", 0.0)];
    model.add_weighted_adapter("both", &sources, &cat).unwrap();
    assert_eq!(model.active_adapters().unwrap(), ["b"]);
    model.set_adapter(&["both"]).unwrap();
    assert_eq!(answer(&mut session), b);

    let ties = CombineOptions::new()
        .combination_type(Combination::TiesSvd)
        .majority_sign_method(MajoritySign::Frequency)
        .density(0.5)
        .svd_rank(2)
        .svd_clamp(0.9)
        .svd_full_matrices(false)
        .svd_driver("gesvd")
        .seed(3);
    model.add_weighted_adapter("ties", &sources, &ties).unwrap();
    assert_eq!(model.adapter_info("ties").unwrap().rank, 2);
    let wrong = CombineOptions::new().combination_type(Combination::from(99));
    let error = model.add_weighted_adapter("x", &sources, &wrong).unwrap_err();
    assert_eq!(error.id(), &ErrorId::Argument);
}

#[test]
fn a_probe_sees_what_an_adapter_does() {
    let model = model(&["german"]);
    let options = ProbeOptions::new().seed(1).rows(4);
    let report = model.probe_adapter("german", &options).unwrap();
    let summary = report.summary().unwrap();
    assert_eq!(report.count(), report.lines().len());
    assert_eq!(summary.num_sites as usize, report.count());
    assert_eq!(summary.num_unchanged, 0);
    assert!(summary.ratio > 0.0 && summary.ratio <= summary.max_ratio);
    for line in report.lines() {
        let ratio = line.delta_norm / line.base_norm;
        assert!((line.ratio - ratio).abs() < 1e-9, "{}", line.name);
    }
    assert!(report.line(report.count()).is_err());
}

#[test]
fn a_quantised_model_is_written_and_opened_again() {
    let mut options =
        ModelOptions::new().weight_format(WeightFormat::Q8).quantize_head(true);
    let model = Model::open_with(quickstart("base"), &mut options).unwrap();
    let folder = TempDir::new();
    let path = folder.join("quantised");
    let mut last = (0, 1);
    let watch = |done, total| {
        last = (done, total);
        ControlFlow::Continue(())
    };
    model.write_quantized(&path, watch).unwrap();
    assert_eq!(last.0, last.1);
    let again = Model::open(&path).unwrap();
    assert_eq!(
        answer(&mut again.session().unwrap()),
        answer(&mut model.session().unwrap())
    );
    let error = base()
        .write_quantized(folder.join("x"), |_, _| ControlFlow::Continue(()));
    assert_eq!(error.unwrap_err().id(), &ErrorId::ModelQuantized);
}
