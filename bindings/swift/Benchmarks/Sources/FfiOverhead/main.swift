// What calls cost from Swift: does what benchmarks/ffi_overhead.c does.
// benchmarks/ffi.py runs both in turns.
//
// usage: FfiOverhead SCENARIO
import Foundation
import Peft

/// Where results go, so that no call is left out.
nonisolated(unsafe) var sink: Float = 0

/// The nanoseconds that `count` calls take.
func time(_ count: Int, _ call: () throws -> Void) rethrows -> Int64 {
  let clock = ContinuousClock()
  let start = clock.now
  for _ in 0..<count { try call() }
  let (seconds, attoseconds) = (clock.now - start).components
  return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
}

func runLayer(_ model: Model, _ count: Int) throws -> Int64 {
  let x: [Float] = [1, 2, 3, 4] + Array(repeating: 0, count: 12)
  return try time(count) {
    let y = try model.runLayer(
      "model.layers.0.self_attn.q_proj", x, shape: [1, 16])
    sink = try y.floats()[0]
  }
}

func forward(_ session: Session, _ count: Int) throws -> Int64 {
  let input = ForwardInput([5])
  return try time(count) {
    try session.reset()
    try session.forward(input) { (logits) throws(PeftError) in
      sink = try logits.withElements(as: Float.self) { $0[0] }
    }
  }
}

func measure(
  _ call: String, _ count: Int, _ model: Model, _ session: Session
) throws -> Int64 {
  switch call {
  case "version": return time(count) { sink = Float(Library.apiVersion) }
  case "has_adapter":
    return try time(count) { sink = try model.hasAdapter("plain") ? 1 : 0 }
  case "run_layer": return try runLayer(model, count)
  case "forward": return try forward(session, count)
  default: fatalError("no call \(call)")
  }
}

func main(_ scenario: String) throws {
  var options = ModelOptions()
  options.numThreads = 1
  let model = try Model(path: "\(scenario)/base", options: options)
  _ = try model.loadAdapter("\(scenario)/adapters/plain", as: "plain")
  let session = try Session(model)
  while let line = readLine() {
    let words = line.split(separator: " ")
    print(try measure(String(words[0]), Int(words[1])!, model, session))
    fflush(nil)
  }
}

try main(CommandLine.arguments[1])
