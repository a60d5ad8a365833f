//! Verbs of programs with files of their own.

use std::fs;

use peft::{estimate_files, inspect_files, File, LoadOptions, Model, Result};

use crate::adapters::{estimate_facts, report_facts};
use crate::json::Json;
use crate::models::model_options;
use crate::runner::{Loaded, Runner, Step};

/// What the files of a step borrow.
struct Source {
    name: String,
    file: fs::File,
    offset: u64,
    bytes: Vec<u8>,
}

impl Runner {
    /// `None` where the verb is of another kind.
    pub fn file_verb(
        &mut self,
        verb: &str,
        step: &Step<'_>,
    ) -> Option<Result<Json>> {
        Some(match verb {
            "open_model_files" => self.open_model_files(step),
            "load_adapter_files" => self.with_files(step, |files| {
                let mut options =
                    LoadOptions::new().lenient(step.flag("lenient"));
                let name = step.text("name");
                let model = self.model();
                let report =
                    model.load_adapter_files(name, files, &mut options)?;
                Ok(report_facts(&report))
            }),
            "estimate_files" => self.with_files(step, |files| {
                Ok(estimate_facts(&estimate_files(files)?))
            }),
            "inspect_files" => self.with_files(step, |files| {
                Ok(Json::parse(&inspect_files(files, None)?))
            }),
            _ => return None,
        })
    }

    fn open_model_files(&mut self, step: &Step<'_>) -> Result<Json> {
        let model = self.with_files(step, |files| {
            Model::open_files(None, files, &mut model_options())
        })?;
        self.session = Some(model.session()?);
        self.take_model(Loaded::Model(model))
    }

    /// Calls `f` with the files of a step, which live as long.
    fn with_files<R>(
        &self,
        step: &Step<'_>,
        f: impl FnOnce(&mut [File<'_>]) -> Result<R>,
    ) -> Result<R> {
        let sources: Vec<_> = step
            .get("files")
            .list()
            .iter()
            .map(|file| self.source(&Step(file)))
            .collect();
        match step.text("kind") {
            "memory" => {
                f(&mut each(&sources, |it| File::memory(&it.name, &it.bytes)))
            }
            "fd" => f(&mut each(&sources, |it| {
                let size = it.bytes.len() as u64;
                File::part_of(&it.name, &it.file, it.offset, size)
            })),
            "read" => f(&mut each(&sources, behind_a_function)),
            other => panic!("kind {other}"),
        }
    }

    fn source(&self, step: &Step<'_>) -> Source {
        let path = self.path(step.text("path"));
        let offset = step.integer("offset") as usize;
        let mut bytes = fs::read(&path).unwrap().split_off(offset);
        if let Some(size) = step.maybe("size") {
            bytes.truncate(size.integer() as usize);
        }
        let name = step.text("name").to_owned();
        let file = fs::File::open(path).unwrap();
        Source { name, file, offset: offset as u64, bytes }
    }
}

fn each<'a>(
    sources: &'a [Source],
    file: impl Fn(&'a Source) -> File<'a>,
) -> Vec<File<'a>> {
    sources.iter().map(file).collect()
}

/// Gives no more than 1000 bytes at a time.
fn behind_a_function(source: &Source) -> File<'_> {
    let size = source.bytes.len() as u64;
    File::reader(&source.name, size, |offset, buffer| {
        let rest = &source.bytes[offset as usize..];
        let count = buffer.len().min(rest.len()).min(1000);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    })
}
