/// The bytes that a tensor takes, without overflow.
struct TensorLayout {
  /// The number of elements.
  let count: Int
  /// The bytes from the first element to the end of the last.
  let byteCount: Int

  /// For sizes and strides in elements; nil strides are contiguous.
  init(
    dtype: DType, shape: [Int], strides: [Int]?
  ) throws(PeftError) {
    guard let bits = dtype.bits else {
      throw .elementType("\(dtype) is not known: update the package")
    }
    count = try Self.count(of: shape)
    let last =
      if let strides {
        try Self.lastIndex(shape: shape, strides: strides)
      } else { count - 1 }
    if count == 0 {
      byteCount = 0
      return
    }
    let (total, overflow) = (last + 1).multipliedReportingOverflow(by: bits)
    if overflow || total > Int.max - 7 { throw Self.tooLarge(shape) }
    byteCount = (total + 7) / 8
  }

  /// The product of the sizes.
  static func count(of shape: [Int]) throws(PeftError) -> Int {
    var count = 1
    for size in shape {
      if size < 0 { throw .argument("the shape \(shape) has a negative size") }
      let (next, overflow) = count.multipliedReportingOverflow(by: size)
      // A later size of 0 does not help a product that has passed the limit.
      if overflow { throw tooLarge(shape) }
      count = next
    }
    return count
  }

  private static func lastIndex(
    shape: [Int], strides: [Int]
  ) throws(PeftError) -> Int {
    if strides.count != shape.count {
      throw .argument("\(strides.count) strides for the shape \(shape)")
    }
    var last = 0
    for (size, stride) in zip(shape, strides) where size > 1 {
      if stride < 0 {
        throw .argument("the strides \(strides) have a negative")
      }
      let (far, overflow) = stride.multipliedReportingOverflow(by: size - 1)
      let (sum, sumOverflow) = last.addingReportingOverflow(far)
      if overflow || sumOverflow || sum == Int.max { throw tooLarge(shape) }
      last = sum
    }
    return last
  }

  private static func tooLarge(_ shape: [Int]) -> PeftError {
    .argument("the shape \(shape) has more elements than memory can hold")
  }
}
