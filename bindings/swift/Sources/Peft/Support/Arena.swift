/// Memory for texts and arrays that a call borrows. Takes none while nothing is
/// put into it. The owner calls ``free()`` in a `defer`.
struct Arena {
  private var blocks: [UnsafeMutableRawPointer] = []

  /// A copy of `text` that ends in NUL; nil for nil. A text that holds a NUL
  /// itself would be cut off there, so it is refused.
  mutating func text(
    _ text: String?
  ) throws(PeftError) -> UnsafePointer<CChar>? {
    guard let utf8 = text?.utf8 else { return nil }
    if utf8.contains(0) { throw .nulInText(String(utf8)) }
    let memory = take(utf8.count + 1, alignment: 1)
    let bytes = UnsafeMutableRawBufferPointer(
      start: memory, count: utf8.count + 1)
    bytes.copyBytes(from: utf8)
    bytes[utf8.count] = 0
    return UnsafePointer(memory.assumingMemoryBound(to: CChar.self))
  }

  /// Copies of texts; nil where there is none.
  mutating func texts(
    _ texts: [String]
  ) throws(PeftError) -> UnsafePointer<UnsafePointer<CChar>?>? {
    var pointers: [UnsafePointer<CChar>?] = []
    for text in texts { pointers.append(try self.text(text)) }
    return values(pointers)
  }

  /// A copy of `values`; nil where there is none.
  mutating func values<T: BitwiseCopyable>(
    _ values: [T]
  ) -> UnsafePointer<T>? {
    if values.isEmpty { return nil }
    let size = values.count * MemoryLayout<T>.stride
    let memory = take(size, alignment: MemoryLayout<T>.alignment)
    let copy = memory.bindMemory(to: T.self, capacity: values.count)
    for (index, value) in values.enumerated() { copy[index] = value }
    return UnsafePointer(copy)
  }

  /// Copies of sizes, as the header counts them.
  mutating func int64s(_ values: [Int]) -> UnsafePointer<Int64>? {
    self.values(values.map { Int64($0) })
  }

  /// Gives all memory back.
  mutating func free() {
    for block in blocks { block.deallocate() }
    blocks = []
  }

  private mutating func take(
    _ size: Int, alignment: Int
  ) -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: size, alignment: alignment)
    blocks.append(memory)
    return memory
  }
}
