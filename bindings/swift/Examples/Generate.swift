import Peft

let model = try Model(path: "examples/quickstart/base")
try model.loadAdapter("examples/quickstart/adapters/german", as: "german")

let prompt = ForwardInput([1, 7, 5, 3, 10, 13])  // "4207="
for try await token in model.tokens(prompt) {
  print(token.id, terminator: " ")
}
