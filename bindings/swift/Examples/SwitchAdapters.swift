// Opens the quickstart's base model, loads two adapters, switches, generates.
// usage: SwitchAdapters BASE ADAPTERS
import CPeft

/// The character that each token of this model stands for.
let text = Array("???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM")

struct PeftError: Error { let message: String }

func check(_ status: OpaquePointer?) throws {
  guard let status else { return }
  defer { peft_status_free(status) }
  throw PeftError(message: String(cString: peft_status_message(status)))
}

/// Prints how the active adapter writes 1987.
func answer(_ session: OpaquePointer?, _ name: String) throws {
  var input = peft_forward_input_t()
  peft_forward_input_init(&input, MemoryLayout<peft_forward_input_t>.stride)
  var options = peft_generate_options_t()
  peft_generate_options_init(&options, MemoryLayout<peft_generate_options_t>.stride)
  options.max_new_tokens = 64
  var result: OpaquePointer?
  let prompt: [Int64] = [1, 4, 12, 11, 10, 13]  // <bos> 1 9 8 7 =
  try prompt.withUnsafeBufferPointer {
    (input.ids, input.batch, input.length) = ($0.baseAddress, 1, Int64($0.count))
    try check(peft_session_generate(session, &input, &options, &result))
  }
  defer { peft_generate_result_free(result) }
  var size = 0
  let tokens = peft_generate_result_tokens(result, 0, &size)
  let answer = UnsafeBufferPointer(start: tokens, count: size).dropLast()
  print("\(name): " + String(answer.map { text[Int($0)] }))
}

func run(base: String, adapters: String) throws {
  var model: OpaquePointer?
  try check(peft_model_open(base, nil, &model))
  defer { peft_model_free(model) }
  var session: OpaquePointer?
  try check(peft_session_create(model, nil, &session))
  defer { peft_session_free(session) }
  try answer(session, "base")
  for name in ["german", "roman"] {
    try check(peft_model_load_adapter(model, name, "\(adapters)/\(name)", nil, nil))
    try answer(session, name)
  }
  try "german".withCString { german in
    var names: [UnsafePointer<CChar>?] = [german]
    try check(peft_model_set_adapter(model, &names, names.count, nil))
  }
  try answer(session, "german")
  try check(peft_model_disable_adapters(model))
  try answer(session, "base")
}

try run(base: CommandLine.arguments[1], adapters: CommandLine.arguments[2])
