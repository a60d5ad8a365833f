// Opens the quickstart's base model, loads two adapters, switches, generates.
// usage: SwitchAdapters BASE ADAPTERS
import Peft

/// The character that each token of this model stands for.
let text = Array("???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM")

/// Prints how the active adapter writes 1987.
func answer(_ session: Session, _ name: String) throws(PeftError) {
  let prompt = ForwardInput([1, 4, 12, 11, 10, 13])  // <bos> 1 9 8 7 =
  let options = GenerateOptions(maxNewTokens: 64)
  let tokens = try session.generate(prompt, options: options).tokens()
  print("\(name): " + String(tokens.dropLast().map { text[Int($0)] }))
}

func run(base: String, adapters: String) throws(PeftError) {
  let model = try Model(path: base)
  let session = try Session(model)
  try answer(session, "base")
  for name in ["german", "roman"] {
    try model.loadAdapter("\(adapters)/\(name)", as: name)
    try answer(session, name)
  }
  try model.setAdapter("german")
  try answer(session, "german")
  try model.disableAdapters()
  try answer(session, "base")
}

try run(base: CommandLine.arguments[1], adapters: CommandLine.arguments[2])
