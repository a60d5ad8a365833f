/// `value` where the header has 32 bits.
func int32(_ value: Int, _ name: String) throws(PeftError) -> Int32 {
  guard let narrow = Int32(exactly: value) else {
    throw .argument("\(name) is \(value): it must fit 32 bits")
  }
  return narrow
}

/// Calls `body` with the address of the numbers; nil for nil.
@inline(__always)
func withAddress<T, R>(
  _ values: [T]?, _ body: (UnsafePointer<T>?) -> R
) -> R {
  guard let values else { return body(nil) }
  return values.withUnsafeBufferPointer { body($0.baseAddress) }
}

/// Refuses numbers that are not as many as the names that they belong to: the
/// library would read beyond them.
func checkCount(
  _ values: [Float]?, of names: Int, _ what: String
) throws(PeftError) {
  guard let values, values.count != names else { return }
  throw .argument("\(values.count) \(what) for \(names) names")
}
