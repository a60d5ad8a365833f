//! What calls cost from Rust: does what `benchmarks/ffi_overhead.c` does.
//! `benchmarks/ffi.py` runs both in turns.
//!
//! usage: ffi_overhead SCENARIO
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use peft::{
    ForwardInput, ForwardOptions, Model, ModelOptions, Result, RunLayerOptions,
    Session, TensorView,
};

/// The nanoseconds that `count` calls take.
fn time(count: u64, mut call: impl FnMut() -> Result<()>) -> Result<u128> {
    let start = Instant::now();
    for _ in 0..count {
        call()?;
    }
    Ok(start.elapsed().as_nanos())
}

fn run_layer(model: &Model, count: u64) -> Result<u128> {
    let mut x = [0.0_f32; 16];
    x[..4].copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
    let options = RunLayerOptions::new();
    time(count, || {
        let name = "model.layers.0.self_attn.q_proj";
        let x = TensorView::new(&x, &[1, 16])?;
        let y = model.run_layer(name, &x, &options)?;
        black_box(y.view()?.as_slice::<f32>().map(|y| y[0]));
        Ok(())
    })
}

fn forward(session: &mut Session, count: u64) -> Result<u128> {
    let options = ForwardOptions::new();
    time(count, || {
        session.reset()?;
        let logits = session.forward(&ForwardInput::row(&[5]), &options)?;
        black_box(logits.as_slice::<f32>().map(|y| y[0]));
        Ok(())
    })
}

fn measure(
    model: &Model,
    session: &mut Session,
    call: &str,
    count: u64,
) -> Result<u128> {
    match call {
        "version" => time(count, || {
            black_box(peft::api_version());
            Ok(())
        }),
        "has_adapter" => time(count, || {
            black_box(model.has_adapter("plain")?);
            Ok(())
        }),
        "run_layer" => run_layer(model, count),
        "forward" => forward(session, count),
        _ => panic!("no call {call}"),
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scenario =
        std::env::args().nth(1).ok_or("usage: ffi_overhead SCENARIO")?;
    let mut options = ModelOptions::new().num_threads(1);
    let model = Model::open_with(format!("{scenario}/base"), &mut options)?;
    model.load_adapter("plain", format!("{scenario}/adapters/plain"))?;
    let mut session = model.session()?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (call, count) =
            line.split_once(' ').ok_or("not a call and a count")?;
        println!("{}", measure(&model, &mut session, call, count.parse()?)?);
        io::stdout().flush()?;
    }
    Ok(())
}
