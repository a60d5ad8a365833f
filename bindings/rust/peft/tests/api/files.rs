//! Files that are not in a folder.

use std::fs;
use std::io;

use peft::{
    estimate_files, inspect_files, ErrorId, File, LoadOptions, Model,
    ModelOptions,
};

use crate::callbacks::panic_of;
use crate::common::{adapter, answer, base, model, quickstart, TempDir};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

fn bytes(name: &str) -> Vec<u8> {
    fs::read(adapter("german").join(name)).unwrap()
}

/// Loads files and checks that they answer as the folder does.
fn check(files: &mut [File<'_>]) {
    let expected = answer(&mut model(&["german"]).session().unwrap());
    let loaded = base();
    let mut options = LoadOptions::new();
    loaded.load_adapter_files("german", files, &mut options).unwrap();
    assert_eq!(answer(&mut loaded.session().unwrap()), expected);
    assert_eq!(loaded.adapter_source(None).unwrap().as_os_str(), "");
}

#[test]
fn files_are_in_memory() {
    let (config, weights) = (bytes(CONFIG), bytes(WEIGHTS));
    check(&mut [
        File::memory(CONFIG, &config),
        File::memory(WEIGHTS, &weights),
    ]);
    let (config, weights) = (config.leak(), weights.leak());
    check(&mut [
        File::static_memory(CONFIG, config),
        File::static_memory(WEIGHTS, weights),
    ]);
}

#[test]
fn files_are_parts_of_a_package() {
    let (config, weights) = (bytes(CONFIG), bytes(WEIGHTS));
    let folder = TempDir::new();
    let path = folder.join("package");
    fs::write(&path, [b"###", &config[..], &weights].concat()).unwrap();
    let package = fs::File::open(&path).unwrap();
    let (first, second) = (config.len() as u64, weights.len() as u64);
    check(&mut [
        File::part_of(CONFIG, &package, 3, first),
        File::part_of(WEIGHTS, &package, 3 + first, second),
    ]);
}

/// A file behind a function that gives a few bytes at a time.
fn behind<'a>(name: &str, bytes: &'a [u8]) -> File<'a> {
    File::reader(name, bytes.len() as u64, |offset, buffer| {
        let rest = &bytes[offset as usize..];
        let count = buffer.len().min(rest.len()).min(1000);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    })
}

#[test]
fn files_are_behind_functions() {
    let (config, weights) = (bytes(CONFIG), bytes(WEIGHTS));
    check(&mut [behind(CONFIG, &config), behind(WEIGHTS, &weights)]);
}

#[test]
fn a_function_that_fails_fails_the_load() {
    let config = bytes(CONFIG);
    let failing = File::reader(WEIGHTS, 100, |_, _| {
        Err(io::Error::new(io::ErrorKind::Other, "no disk"))
    });
    let mut files = [File::memory(CONFIG, &config), failing];
    let model = base();
    let error = model
        .load_adapter_files("x", &mut files, &mut LoadOptions::new())
        .unwrap_err();
    assert_eq!(error.id(), &ErrorId::FileRead);
    assert!(model.list_adapters().unwrap().is_empty());
}

#[test]
fn a_panic_of_a_reader_goes_on_after_the_call() {
    let config = bytes(CONFIG);
    let panicking = File::reader(WEIGHTS, 100, |_, _| panic!("of the reader"));
    let mut files = [File::memory(CONFIG, &config), panicking];
    let model = base();
    let mut options = LoadOptions::new();
    let panic =
        panic_of(|| model.load_adapter_files("x", &mut files, &mut options));
    assert_eq!(panic, "of the reader");
    assert!(model.list_adapters().unwrap().is_empty());
}

#[test]
fn files_replace_an_adapter_and_are_described() {
    let (config, weights) = (bytes(CONFIG), bytes(WEIGHTS));
    let mut files =
        [File::memory(CONFIG, &config), File::memory(WEIGHTS, &weights)];
    let estimate = estimate_files(&mut files).unwrap();
    assert!(estimate.size_bytes > 0 && estimate.num_tensors > 0);
    let json = inspect_files(&mut files, None).unwrap();
    assert!(json.contains("LORA"), "{json}");
    let model = model(&["roman"]);
    let mut options = LoadOptions::new();
    model.replace_adapter_files("roman", &mut files, &mut options).unwrap();
    let german = crate::common::model(&["german"]);
    assert_eq!(
        answer(&mut model.session().unwrap()),
        answer(&mut german.session().unwrap())
    );
}

#[test]
fn a_model_is_of_files() {
    let read = |name| fs::read(quickstart("base").join(name)).unwrap();
    let (config, weights) = (read("config.json"), read("model.safetensors"));
    let generation = read("generation_config.json");
    let mut files = [
        File::memory("config.json", &config),
        File::memory("generation_config.json", &generation),
        File::memory("model.safetensors", &weights),
    ];
    let mut options = ModelOptions::new();
    let model = Model::open_files("base", &mut files, &mut options).unwrap();
    assert_eq!(
        answer(&mut model.session().unwrap()),
        answer(&mut base().session().unwrap())
    );
}

#[test]
fn a_name_leads_nowhere_else() {
    let mut files = [File::memory("../config.json", b"{}")];
    let error = estimate_files(&mut files).unwrap_err();
    assert_eq!(error.id(), &ErrorId::PathEscapes);
}
