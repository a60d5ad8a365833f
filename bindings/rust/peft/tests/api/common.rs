//! What the tests have in common.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use peft::{ForwardInput, GenerateOptions, Model, Session};

/// "1987=".
pub const PROMPT: [i64; 6] = [1, 4, 12, 11, 10, 13];

/// A folder of the quickstart.
pub fn quickstart(part: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    root.join("examples/quickstart").join(part)
}

pub fn adapter(name: &str) -> PathBuf {
    quickstart("adapters").join(name)
}

pub fn base() -> Model {
    Model::open(quickstart("base")).unwrap()
}

/// The base with these adapters; the last one is active.
pub fn model(names: &[&str]) -> Model {
    let model = base();
    for &name in names {
        model.load_adapter(name, adapter(name)).unwrap();
    }
    model
}

/// What follows [`PROMPT`].
pub fn answer(session: &mut Session) -> Vec<i64> {
    let mut options = GenerateOptions::new().max_new_tokens(64);
    let result =
        session.generate(&ForwardInput::row(&PROMPT), &mut options).unwrap();
    result.tokens(0).unwrap().to_vec()
}

/// A folder that goes with it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("peft-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        TempDir(folder)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
