//! The scenario that every binding passes; see `testing/scenario/README.md`.

mod adapters;
mod json;
mod models;
mod runner;

use std::path::Path;

use json::Json;
use runner::Runner;

#[test]
fn each_step_does_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let folder = root.join("testing/scenario");
    let text = std::fs::read_to_string(folder.join("scenario.json")).unwrap();
    let scenario = Json::parse(&text);
    let get = |key| scenario.get(key).expect("a key of the scenario");
    assert_eq!(get("format").integer(), 1, "the scenario's format");
    let mut runner = Runner::new(folder, get("tolerance").number());
    let steps = get("steps").list();
    assert!(!steps.is_empty());
    for (index, step) in steps.iter().enumerate() {
        if let Err(difference) = runner.check(step) {
            let verb = step.get("verb");
            panic!("step {index}, {verb:?}: {difference}");
        }
    }
}
