//! Verbs of adapters.

use std::path::Path;

use peft::{
    estimate_adapter, fetch_adapter, inspect_adapter, Activation,
    AdapterEstimate, AddAdapterOptions, Combination, CombineOptions, DType,
    LoadOptions, LoadReport, MergeAndUnloadOptions, MergeOptions, Names,
    ProbeOptions, ReportKind, Result, SaveOptions, SetAdapterOptions,
    StateDict, Tensor, TensorView,
};

use crate::json::{object, Json};
use crate::runner::{Runner, Step};

const COMBINATIONS: [(&str, Combination); 11] = [
    ("svd", Combination::Svd),
    ("linear", Combination::Linear),
    ("cat", Combination::Cat),
    ("ties", Combination::Ties),
    ("ties_svd", Combination::TiesSvd),
    ("dare_linear", Combination::DareLinear),
    ("dare_linear_svd", Combination::DareLinearSvd),
    ("dare_ties", Combination::DareTies),
    ("dare_ties_svd", Combination::DareTiesSvd),
    ("magnitude_prune", Combination::MagnitudePrune),
    ("magnitude_prune_svd", Combination::MagnitudePruneSvd),
];

impl Runner {
    pub fn adapter_verb(
        &mut self,
        verb: &str,
        step: &Step<'_>,
    ) -> Result<Json> {
        match verb {
            "load_adapter"
            | "load_adapter_from_memory"
            | "replace_adapter"
            | "replace_adapter_from_memory" => self.load(verb, step),
            "create_activation" => self.create_activation(step),
            "free_activation" => {
                let name = step.text("activation");
                self.activations.remove(name).expect("an activation");
                Ok(object([]))
            }
            "list_adapters" => names(self.model().list_adapters()),
            "active_adapters" => names(self.model().active_adapters()),
            "merged_adapters" => names(self.model().merged_adapters()),
            "has_adapter"
            | "get_adapter_state_dict"
            | "get_adapter_info"
            | "get_adapter_config"
            | "get_adapter_source"
            | "fetch_adapter"
            | "estimate_adapter"
            | "inspect_adapter"
            | "probe_adapter" => self.ask(verb, step),
            _ => self.change(verb, step).map(|()| object([])),
        }
    }

    fn load(&self, verb: &str, step: &Step<'_>) -> Result<Json> {
        let model = self.model();
        let name = step.text("name");
        let mut options = LoadOptions::new()
            .lenient(step.flag("lenient"))
            .is_trainable(step.flag("is_trainable"));
        let options = &mut options;
        let report = match verb {
            "load_adapter" => {
                let path = self.path(step.text("path"));
                model.load_adapter_with(name, path, options)?
            }
            "replace_adapter" => {
                let path = self.path(step.text("path"));
                model.replace_adapter(name, path, options)?
            }
            _ => {
                let json = self.config_text(step);
                let dict = StateDict::read(self.path(step.text("tensors")))?;
                match verb {
                    "load_adapter_from_memory" => model
                        .load_adapter_from_memory(
                            name, &json, &dict, options,
                        )?,
                    _ => model.replace_adapter_from_memory(
                        name, &json, &dict, options,
                    )?,
                }
            }
        };
        Ok(report_facts(&report))
    }

    fn config_text(&self, step: &Step<'_>) -> String {
        let path = self.path(step.text("config"));
        std::fs::read_to_string(path).unwrap()
    }

    fn create_activation(&mut self, step: &Step<'_>) -> Result<Json> {
        let scales = step.maybe("scales").map(Json::floats);
        let names = step.get("names").texts();
        let made = Activation::new(self.model(), &names, scales.as_deref())?;
        self.activations.insert(step.text("activation").to_owned(), made);
        Ok(object([]))
    }

    /// Verbs that give nothing.
    fn change(&self, verb: &str, step: &Step<'_>) -> Result<()> {
        let model = self.model();
        let name = || step.text("name");
        let path = || self.path(step.text("path"));
        let names = step.maybe("names").map(Json::texts).unwrap_or_default();
        let scales = step.maybe("scales").map(Json::floats);
        match verb {
            "add_adapter" => {
                let seed = step.integer("seed") as u64;
                let options = AddAdapterOptions::new().seed(seed);
                model.add_adapter(name(), &self.config_text(step), &options)
            }
            "add_weighted_adapter" => self.combine(step, &names),
            "rename_adapter" => {
                model.rename_adapter(name(), step.text("new_name"))
            }
            "delete_adapter" => model.delete_adapter(&names),
            "unload" => model.unload(),
            "save_adapter" => {
                let overwrite = step.flag("overwrite");
                let options = SaveOptions::new().overwrite(overwrite);
                model.save_adapter(name(), path(), &options)
            }
            "write_state_dict" => {
                model.adapter_state_dict(name())?.write(path())
            }
            "set_adapter" => {
                let mut options = SetAdapterOptions::new();
                if let Some(scales) = &scales {
                    options = options.scales(scales);
                }
                model.set_adapter_with(&names, &options)
            }
            "set_scale" => {
                model.set_scale(name(), step.get("scale").number() as f32)
            }
            "disable_adapters" => model.disable_adapters(),
            "enable_adapters" => model.enable_adapters(),
            "merge_adapter" => {
                let safe = step.flag("safe_merge");
                let mut options = MergeOptions::new().safe_merge(safe);
                if let Some(scales) = &scales {
                    options = options.scales(scales);
                }
                model.merge_adapter(&names, &options)
            }
            "unmerge_adapter" => model.unmerge_adapter(),
            "merge_and_unload" => {
                let mut options = MergeAndUnloadOptions::new().names(&names);
                model.merge_and_unload(path(), &mut options)
            }
            "pin_adapter" => model.pin_adapter(name(), step.flag("pinned")),
            "set_adapter_limit" => {
                let bytes = step.integer("max_bytes");
                model.set_adapter_limit(bytes, step.integer("max_adapters"))
            }
            other => panic!("the verb {other} is unknown"),
        }
    }

    fn combine(&self, step: &Step<'_>, names: &[&str]) -> Result<()> {
        let wanted = step.text("combination_type");
        let (_, combination) =
            COMBINATIONS.iter().find(|it| it.0 == wanted).expect("a type");
        let mut options = CombineOptions::new()
            .combination_type(*combination)
            .svd_rank(step.integer("svd_rank"));
        if let Some(density) = step.maybe("density") {
            options = options.density(density.number() as f32);
        }
        let weights = step.get("weights").floats();
        let sources: Vec<_> = names.iter().copied().zip(weights).collect();
        let new_name = step.text("new_name");
        self.model().add_weighted_adapter(new_name, &sources, &options)
    }

    /// Verbs that change nothing.
    fn ask(&self, verb: &str, step: &Step<'_>) -> Result<Json> {
        let model = self.model();
        let name = || step.text("name");
        let path = || self.path(step.text("path"));
        Ok(match verb {
            "has_adapter" => {
                let has = i64::from(model.has_adapter(name())?);
                object([("has", has.into())])
            }
            "get_adapter_state_dict" => {
                tensor_facts(&model.adapter_state_dict(name())?)?
            }
            "get_adapter_info" => self.info_facts(name())?,
            "get_adapter_config" => Json::parse(&model.adapter_config(name())?),
            "get_adapter_source" => {
                end_of(step, &model.adapter_source(name())?)
            }
            "fetch_adapter" => {
                end_of(step, &fetch_adapter(path(), &mut LoadOptions::new())?)
            }
            "estimate_adapter" => {
                estimate_facts(&estimate_adapter(path(), None)?)
            }
            "inspect_adapter" => {
                Json::parse(&inspect_adapter(path(), None, None)?)
            }
            _ => {
                let options = ProbeOptions::new();
                let report = model.probe_adapter(name(), &options)?;
                let summary = report.summary()?;
                object([
                    ("num_sites", summary.num_sites.into()),
                    ("num_unchanged", summary.num_unchanged.into()),
                ])
            }
        })
    }

    fn info_facts(&self, name: &str) -> Result<Json> {
        let info = self.model().adapter_info(name)?;
        let flag = |flag| i64::from(flag).into();
        Ok(object([
            ("peft_type", info.peft_type.into()),
            ("generation", (info.generation as i64).into()),
            ("rank", info.rank.into()),
            ("num_parameters", info.num_parameters.into()),
            ("size_bytes", info.size_bytes.into()),
            ("num_sites", info.num_sites.into()),
            ("scale", info.scale.into()),
            ("is_active", flag(info.is_active)),
            ("is_pinned", flag(info.is_pinned)),
            ("is_trainable", flag(info.is_trainable)),
        ]))
    }
}

fn names(names: Result<Names>) -> Result<Json> {
    let names = names?;
    Ok(object([("names", names.iter().collect::<Vec<_>>().into())]))
}

pub fn report_facts(report: &LoadReport) -> Json {
    let count = |kind| (report.count(kind) as i64).into();
    object([
        ("matched", count(ReportKind::Matched)),
        ("missing", count(ReportKind::Missing)),
        ("unexpected", count(ReportKind::Unexpected)),
        ("mismatched", count(ReportKind::Mismatched)),
        ("ignored_keys", count(ReportKind::IgnoredKey)),
        ("num_sites", report.num_sites().into()),
        ("num_parameters", report.num_parameters().into()),
    ])
}

pub fn estimate_facts(estimate: &AdapterEstimate) -> Json {
    object([
        ("size_bytes", estimate.size_bytes.into()),
        ("file_bytes", estimate.file_bytes.into()),
        ("num_parameters", estimate.num_parameters.into()),
        ("num_tensors", estimate.num_tensors.into()),
    ])
}

/// As much of the end of `path` as is expected.
fn end_of(step: &Step<'_>, path: &Path) -> Json {
    let expected = step.get("expect").get("path").map_or("", Json::text);
    let path = path.to_str().expect("UTF-8");
    let start = path.len().saturating_sub(expected.len());
    object([("path", path[start..].into())])
}

fn tensor_facts(dict: &StateDict) -> Result<Json> {
    let facts = |(name, tensor): (&str, Result<Tensor>)| {
        let tensor = tensor?;
        let mut facts = element_facts(&tensor.view()?);
        facts.insert("name", name.into());
        Ok(facts)
    };
    let tensors = dict.iter().map(facts).collect::<Result<Vec<_>>>()?;
    Ok(object([("tensors", tensors.into())]))
}

/// Type, shape and hash of elements.
pub fn element_facts(view: &TensorView<'_>) -> Json {
    let dtype = match view.dtype() {
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::Bf16 => "bfloat16",
        DType::I64 => "int64",
        other => panic!("{other:?}"),
    };
    let hash = fnv1a(view.as_bytes().expect("contiguous"));
    object([
        ("dtype", dtype.into()),
        ("shape", view.sizes().into()),
        ("fnv1a", format!("{hash:016x}").as_str().into()),
    ])
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
