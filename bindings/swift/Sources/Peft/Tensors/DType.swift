import CPeft

/// The type of a tensor's elements, with the name that safetensors gives it.
public struct DType: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// True or false, one byte each.
  public static let bool = DType(rawValue: PEFT_DTYPE_BOOL)
  /// 8 bits without a sign.
  public static let u8 = DType(rawValue: PEFT_DTYPE_U8)
  /// 8 bits with a sign.
  public static let i8 = DType(rawValue: PEFT_DTYPE_I8)
  /// 16 bits without a sign.
  public static let u16 = DType(rawValue: PEFT_DTYPE_U16)
  /// 16 bits with a sign.
  public static let i16 = DType(rawValue: PEFT_DTYPE_I16)
  /// 32 bits without a sign.
  public static let u32 = DType(rawValue: PEFT_DTYPE_U32)
  /// 32 bits with a sign.
  public static let i32 = DType(rawValue: PEFT_DTYPE_I32)
  /// 64 bits without a sign.
  public static let u64 = DType(rawValue: PEFT_DTYPE_U64)
  /// 64 bits with a sign.
  public static let i64 = DType(rawValue: PEFT_DTYPE_I64)
  /// IEEE's half.
  public static let f16 = DType(rawValue: PEFT_DTYPE_F16)
  /// The upper half of a float: ``BFloat16``.
  public static let bf16 = DType(rawValue: PEFT_DTYPE_BF16)
  /// A float.
  public static let f32 = DType(rawValue: PEFT_DTYPE_F32)
  /// A double.
  public static let f64 = DType(rawValue: PEFT_DTYPE_F64)
  /// 8 bits, 4 of them the exponent.
  public static let f8e4m3 = DType(rawValue: PEFT_DTYPE_F8_E4M3)
  /// 8 bits, 5 of them the exponent.
  public static let f8e5m2 = DType(rawValue: PEFT_DTYPE_F8_E5M2)
  /// A complex number of two floats.
  public static let c64 = DType(rawValue: PEFT_DTYPE_C64)
  /// 8 bits, all of them the exponent.
  public static let f8e8m0 = DType(rawValue: PEFT_DTYPE_F8_E8M0)
  /// As ``f8e4m3``, without infinities and with one zero.
  public static let f8e4m3fnuz = DType(rawValue: PEFT_DTYPE_F8_E4M3FNUZ)
  /// As ``f8e5m2``, without infinities and with one zero.
  public static let f8e5m2fnuz = DType(rawValue: PEFT_DTYPE_F8_E5M2FNUZ)
  /// 4 bits, packed.
  public static let f4 = DType(rawValue: PEFT_DTYPE_F4)
  /// 6 bits, 2 of them the exponent, packed.
  public static let f6e2m3 = DType(rawValue: PEFT_DTYPE_F6_E2M3)
  /// 6 bits, 3 of them the exponent, packed.
  public static let f6e3m2 = DType(rawValue: PEFT_DTYPE_F6_E3M2)

  /// The bits of an element; nil for a type that this package does not know.
  public var bits: Int? {
    switch self {
    case .bool, .u8, .i8, .f8e4m3, .f8e5m2, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
      8
    case .u16, .i16, .f16, .bf16: 16
    case .u32, .i32, .f32: 32
    case .u64, .i64, .f64, .c64: 64
    case .f4: 4
    case .f6e2m3, .f6e3m2: 6
    default: nil
    }
  }
}

/// Where a tensor's memory is; numbers as in DLPack.
public struct DeviceType: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The memory of the process.
  public static let cpu = DeviceType(rawValue: PEFT_DEVICE_CPU)
  /// The memory of a CUDA device.
  public static let cuda = DeviceType(rawValue: PEFT_DEVICE_CUDA)
}
