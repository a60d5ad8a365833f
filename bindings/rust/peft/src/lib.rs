//! PEFT adapters for Rust: opens a base model from a Hugging Face folder, loads
//! adapters straight from their PEFT folders, switches between them, runs
//! forward and generate, as Python's PEFT would.
//!
//! ```
//! use peft::{ForwardInput, GenerateOptions, Model};
//!
//! # let base = "../../../examples/quickstart/base";
//! # let german = "../../../examples/quickstart/adapters/german";
//! let model = Model::open(base)?;
//! model.load_adapter("german", german)?;
//! let mut session = model.session()?;
//! let prompt = ForwardInput::row(&[1, 7, 5, 3, 10, 13]);
//! let result = session.generate(&prompt, &mut GenerateOptions::new())?;
//! for row in &result {
//!     println!("{:?}", row.tokens);
//! }
//! # Ok::<(), peft::Error>(())
//! ```
//!
//! The crate is a thin layer over `peft_c.h`, whose names it keeps: what is
//! `peft_model_load_adapter` there is [`Model::load_adapter`] here.
//!
//! - **Ownership**: each handle is an object that frees it. What is lent has
//!   the lifetime of its owner, and the compiler sees to it.
//! - **Errors**: all calls return [`Result`]; [`Error::id`] is what a program
//!   decides by.
//! - **Threads**: all objects may go to other threads. [`Model`] and what is
//!   immutable may be shared; [`Session`] and [`StateDict`] are used by one
//!   thread at a time.
//! - **Options** are made by `new()`, which asks the library for its defaults.
//! - **Callbacks** are closures. A panic of one ends the call as a refusal
//!   would, and goes on when the call has returned.
//! - **Constants** are enums that keep values which they do not know.

#![deny(missing_docs)]
#![warn(missing_debug_implementations, unsafe_op_in_unsafe_fn)]

mod activation;
mod adapter_folder;
mod adapter_options;
mod adapters;
mod allocator;
mod build_info;
mod callback;
mod constants;
mod cuda;
mod dlpack;
mod dtype;
mod error;
mod error_id;
mod file;
mod forward;
mod generate;
mod handle;
mod host_model;
mod hub;
mod layer_runner;
mod load_options;
mod load_report;
mod log;
mod lowered;
mod merge;
mod model;
mod model_options;
mod more_adapters;
mod names;
mod probe;
mod rows;
mod session;
mod state_dict;
mod tensor;
mod tensor_view;
mod tensor_view_mut;
mod text;
mod thread_pool;
mod transport;

pub use peft_sys as sys;

pub use activation::Activation;
pub use adapter_folder::{
    estimate_adapter, estimate_files, fetch_adapter, inspect_adapter,
    inspect_files, AdapterEstimate,
};
pub use adapter_options::{
    AddAdapterOptions, CombineOptions, MergeOptions, ProbeOptions, SaveOptions,
    SetAdapterOptions,
};
pub use allocator::set_allocator;
pub use build_info::{api_version, build_info, BuildInfo, API_VERSION};
pub use constants::{
    Code, Combination, DType, Device, FileKind, FinishReason, FormKind,
    FormTensor, LayerKind, LogLevel, MajoritySign, Output, ReadMode,
    ReportKind, Task, TransportError, WeightFormat,
};
pub use cuda::{CudaOptions, CudaView};
pub use dlpack::{
    DLDataType, DLDevice, DLManagedTensor, DLTensor, DlpackTensor,
};
pub use dtype::{Bf16, Element, F16};
pub use error::{Error, Result};
pub use error_id::ErrorId;
pub use file::File;
pub use forward::{ForwardInput, ForwardOptions};
pub use generate::{
    GenerateOptions, GenerateResult, GeneratedRow, GeneratedRows,
};
pub use host_model::{HostModel, Layer, RunLayerOptions};
pub use hub::Download;
pub use layer_runner::{LayerNumber, LayerRunner};
pub use load_options::LoadOptions;
pub use load_report::{LoadReport, ReportLine, ReportLines};
pub use log::{disable_log, set_log_level, set_logger};
pub use lowered::{Form, Lowered};
pub use merge::MergeAndUnloadOptions;
pub use model::{fetch_model, fetch_model_for_adapters, Model, ModelInfo};
pub use model_options::ModelOptions;
pub use more_adapters::AdapterInfo;
pub use names::{Names, NamesIter};
pub use probe::{ProbeLine, ProbeLines, ProbeReport, ProbeSummary};
pub use session::{Session, SessionOptions};
pub use state_dict::{StateDict, StateDictNames};
pub use tensor::Tensor;
pub use tensor_view::TensorView;
pub use tensor_view_mut::TensorViewMut;
pub use thread_pool::ThreadPool;
pub use transport::{Answer, Exchange, Request};

/// The README, whose program is tested.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
