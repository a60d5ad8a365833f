//! Opens the quickstart's base model, loads two adapters, switches, generates.
//! usage: switch_adapters BASE ADAPTERS

use peft::{ForwardInput, GenerateOptions, Model, Result, Session};

/// The character that each token of this model stands for.
const TEXT: &[u8] = b"???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM";

/// Prints how the active adapter writes 1987.
fn answer(session: &mut Session, name: &str) -> Result<()> {
    let prompt = ForwardInput::row(&[1, 4, 12, 11, 10, 13]); // <bos> 1 9 8 7 =
    let mut options = GenerateOptions::new().max_new_tokens(64);
    let result = session.generate(&prompt, &mut options)?;
    let (_eos, tokens) = result.tokens(0).unwrap().split_last().unwrap();
    let text: String =
        tokens.iter().map(|&token| TEXT[token as usize] as char).collect();
    println!("{name}: {text}");
    Ok(())
}

fn run(base: &str, adapters: &str) -> Result<()> {
    let model = Model::open(base)?;
    let mut session = model.session()?;
    answer(&mut session, "base")?;
    for name in ["german", "roman"] {
        model.load_adapter(name, format!("{adapters}/{name}"))?;
        answer(&mut session, name)?;
    }
    model.set_adapter(&["german"])?;
    answer(&mut session, "german")?;
    model.disable_adapters()?;
    answer(&mut session, "base")
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    run(&args[1], &args[2])
}
