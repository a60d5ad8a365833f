/// A Swift type that is a ``DType`` of the library.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The library's name of it.
  static var dtype: DType { get }
}

extension UInt8: TensorElement {
  public static var dtype: DType { .u8 }
}
extension Int8: TensorElement {
  public static var dtype: DType { .i8 }
}
extension UInt16: TensorElement {
  public static var dtype: DType { .u16 }
}
extension Int16: TensorElement {
  public static var dtype: DType { .i16 }
}
extension UInt32: TensorElement {
  public static var dtype: DType { .u32 }
}
extension Int32: TensorElement {
  public static var dtype: DType { .i32 }
}
extension UInt64: TensorElement {
  public static var dtype: DType { .u64 }
}
extension Int64: TensorElement {
  public static var dtype: DType { .i64 }
}
#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorElement {
    public static var dtype: DType { .f16 }
  }
#endif
extension Float: TensorElement {
  public static var dtype: DType { .f32 }
}
extension Double: TensorElement {
  public static var dtype: DType { .f64 }
}
extension BFloat16: TensorElement {
  public static var dtype: DType { .bf16 }
}

/// The upper half of a float's bits.
public struct BFloat16: BitwiseCopyable, Hashable, Sendable {
  /// Sign, 8 bits of exponent, 7 of mantissa.
  public let bitPattern: UInt16

  /// The number with these bits.
  public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

  /// The nearest number to `value`, the even one of two.
  public init(_ value: Float) {
    let bits = value.bitPattern
    if value.isNaN {
      bitPattern = UInt16(bits >> 16) | 0x40
    } else {
      bitPattern = UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
    }
  }
}

extension Float {
  /// The same number.
  public init(_ value: BFloat16) {
    self.init(bitPattern: UInt32(value.bitPattern) << 16)
  }
}
