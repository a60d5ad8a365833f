import Foundation
import Peft

/// A value of JSON, to be compared.
indirect enum JSON: Equatable, Decodable {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSON].self) {
      self = .list(list)
    } else if let object = try? value.decode([String: JSON].self) {
      self = .object(object)
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else {
      self = .null
    }
  }

  init(parsing text: Data) throws {
    self = try JSONDecoder().decode(JSON.self, from: text)
  }

  init(_ numbers: [Int]) { self = .list(numbers.map { .number(Double($0)) }) }

  init(_ numbers: [Int64]) { self = .list(numbers.map { .number(Double($0)) }) }

  init(_ texts: [String]) { self = .list(texts.map { .text($0) }) }

  init(_ value: Int) { self = .number(Double(value)) }

  init(_ value: Int64) { self = .number(Double(value)) }

  var number: Double? {
    if case .number(let number) = self { number } else { nil }
  }

  var text: String? {
    if case .text(let text) = self { text } else { nil }
  }

  var list: [JSON]? {
    if case .list(let list) = self { list } else { nil }
  }

  var object: [String: JSON]? {
    if case .object(let object) = self { object } else { nil }
  }
}

/// What is wrong with a step.
struct ScenarioFailure: Error, CustomStringConvertible {
  let description: String
}

/// The arguments of a step.
struct Step {
  let fields: [String: JSON]

  func has(_ name: String) -> Bool { fields[name] != nil }

  func text(_ name: String) throws -> String {
    guard let text = fields[name]?.text else { throw missing(name) }
    return text
  }

  func number(_ name: String) throws -> Double {
    guard let number = fields[name]?.number else { throw missing(name) }
    return number
  }

  func int(_ name: String, default fallback: Int? = nil) throws -> Int {
    if let fallback, !has(name) { return fallback }
    return Int(try number(name))
  }

  func flag(_ name: String) throws -> Bool { try int(name, default: 0) != 0 }

  func list(_ name: String) throws -> [JSON] {
    guard let list = fields[name]?.list else { throw missing(name) }
    return list
  }

  func texts(_ name: String) throws -> [String] {
    try list(name).map {
      guard let text = $0.text else { throw missing(name) }
      return text
    }
  }

  func numbers(_ name: String) throws -> [Double] {
    try list(name).map {
      guard let number = $0.number else { throw missing(name) }
      return number
    }
  }

  func ints(_ name: String) throws -> [Int] {
    try numbers(name).map { Int($0) }
  }

  func floats(_ name: String) throws -> [Float]? {
    has(name) ? try numbers(name).map { Float($0) } : nil
  }

  /// A list of rows of tokens.
  func rows(_ name: String) throws -> [[Int64]] {
    try list(name).map { row in
      guard let row = row.list else { throw missing(name) }
      return row.map { Int64($0.number ?? -1) }
    }
  }

  private func missing(_ name: String) -> ScenarioFailure {
    ScenarioFailure(description: "no \(name) of the right type")
  }
}
