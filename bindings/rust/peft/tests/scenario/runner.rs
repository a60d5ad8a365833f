//! What the steps of a scenario work on, and whether they did what they say.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::PathBuf;

use peft::{Activation, Error, HostModel, LayerRunner, Model, Result, Session};

use crate::json::Json;

/// The arguments of a step, by name.
pub struct Step<'a>(pub &'a Json);

impl<'a> Step<'a> {
    pub fn maybe(&self, key: &str) -> Option<&'a Json> {
        self.0.get(key)
    }

    pub fn get(&self, key: &str) -> &'a Json {
        self.maybe(key).unwrap_or_else(|| panic!("no argument {key}"))
    }

    pub fn text(&self, key: &str) -> &'a str {
        self.get(key).text()
    }

    /// Missing is 0.
    pub fn integer(&self, key: &str) -> i64 {
        self.maybe(key).map_or(0, Json::integer)
    }

    pub fn flag(&self, key: &str) -> bool {
        self.integer(key) != 0
    }
}

/// A model, opened or of the program's own layers. The latter are leaked, as
/// their weights are, which the program looks at while a runner is there.
pub enum Loaded {
    Model(Model),
    Host(&'static HostModel<'static>),
}

impl Deref for Loaded {
    type Target = Model;

    fn deref(&self) -> &Model {
        match self {
            Loaded::Model(model) => model,
            Loaded::Host(model) => model,
        }
    }
}

/// One model, with one session, and what goes with them.
pub struct Runner {
    folder: PathBuf,
    temp: PathBuf,
    tolerance: f64,
    pub model: Option<Loaded>,
    pub session: Option<Session>,
    pub layer_runner: Option<LayerRunner<'static>>,
    /// Of a program's own tensors, the layer, and which of its it is.
    pub tensors: HashMap<String, (String, &'static str)>,
    pub activations: HashMap<String, Activation>,
    pub saved: HashMap<String, Vec<f32>>,
}

impl Runner {
    pub fn new(folder: PathBuf, name: &str, tolerance: f64) -> Self {
        let name = format!("peft-{name}-{}", std::process::id());
        let temp = std::env::temp_dir().join(name);
        std::fs::create_dir(&temp).unwrap();
        Runner {
            folder,
            temp,
            tolerance,
            model: None,
            session: None,
            layer_runner: None,
            tensors: HashMap::new(),
            activations: HashMap::new(),
            saved: HashMap::new(),
        }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("$TMP/") {
            Some(path) => self.temp.join(path),
            None => self.folder.join(path),
        }
    }

    pub fn model(&self) -> &Model {
        self.model.as_ref().expect("a model")
    }

    pub fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a session")
    }

    /// Runs a step; `Err` says what differed.
    pub fn check(&mut self, step: &Json) -> std::result::Result<(), String> {
        let step = Step(step);
        let verb = step.text("verb");
        let found = self
            .model_verb(verb, &step)
            .or_else(|| self.host_verb(verb, &step))
            .or_else(|| self.file_verb(verb, &step))
            .unwrap_or_else(|| self.adapter_verb(verb, &step));
        self.compare(step.get("expect"), found)
    }

    fn compare(
        &self,
        expect: &Json,
        found: Result<Json>,
    ) -> std::result::Result<(), String> {
        let error = expect.get("error");
        let found = match (found, error) {
            (Err(found), Some(id)) => {
                return compare_error(&found, id, expect.get("code"))
            }
            (Err(found), None) => return Err(found.to_string()),
            (Ok(_), Some(id)) => return Err(format!("no error {id:?}")),
            (Ok(found), None) => found,
        };
        let Json::Object(fields) = expect else { return Err("expect".into()) };
        for (key, expected) in fields {
            let found = found.get(key).ok_or(format!("nothing gave {key}"))?;
            let is_equal = match key.as_str() {
                "logits" | "values" => self.is_near(expected, found),
                _ => expected == found,
            };
            if !is_equal {
                return Err(format!(
                    "{key} is {found:?}, expected {expected:?}"
                ));
            }
        }
        Ok(())
    }

    fn is_near(&self, expected: &Json, found: &Json) -> bool {
        let (expected, found) = (expected.list(), found.list());
        let largest = expected
            .iter()
            .fold(0.0, |largest, it| f64::max(largest, it.number().abs()));
        expected.len() == found.len()
            && expected.iter().zip(found).all(|(expected, found)| {
                let difference = (expected.number() - found.number()).abs();
                difference <= self.tolerance * largest
            })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.temp);
    }
}

fn compare_error(
    found: &Error,
    id: &Json,
    code: Option<&Json>,
) -> std::result::Result<(), String> {
    let found_code = Json::from(i64::from(i32::from(found.code())));
    if found.id().as_str() == id.text() && Some(&found_code) == code {
        Ok(())
    } else {
        Err(format!("{found} with {found_code:?}, expected {id:?}, {code:?}"))
    }
}
