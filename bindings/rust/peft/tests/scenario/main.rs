//! The scenarios that every binding passes; see `testing/scenario/README.md`.

mod adapters;
mod files;
mod host;
mod json;
mod models;
mod runner;

use std::path::Path;

use json::Json;
use runner::Runner;

/// Runs the steps of a file and panics at the first that does not do what it
/// says.
fn run(file: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let folder = root.join("testing/scenario");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let scenario = Json::parse(&text);
    let get = |key| scenario.get(key).expect("a key of the scenario");
    assert_eq!(get("format").integer(), 1, "the scenario's format");
    let mut runner = Runner::new(folder, file, get("tolerance").number());
    let steps = get("steps").list();
    assert!(!steps.is_empty());
    for (index, step) in steps.iter().enumerate() {
        if let Err(difference) = runner.check(step) {
            let verb = step.get("verb");
            panic!("step {index}, {verb:?}: {difference}");
        }
    }
}

#[test]
fn models_and_adapters_in_folders() {
    run("scenario.json");
}

#[test]
fn layers_and_files_of_the_program() {
    run("host_scenario.json");
}
