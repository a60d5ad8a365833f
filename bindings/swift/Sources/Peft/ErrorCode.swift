import CPeft

/// The kind of a failure, with absl's numbers.
public struct ErrorCode: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// No failure; no error has it.
  public static let ok = ErrorCode(rawValue: PEFT_OK)
  /// A callback asked to stop.
  public static let cancelled = ErrorCode(rawValue: PEFT_CANCELLED)
  /// The failure itself is not known.
  public static let unknown = ErrorCode(rawValue: PEFT_UNKNOWN)
  /// Fix the argument or the file.
  public static let invalidArgument = ErrorCode(rawValue: PEFT_INVALID_ARGUMENT)
  /// The network was too slow.
  public static let deadlineExceeded = ErrorCode(
    rawValue: PEFT_DEADLINE_EXCEEDED)
  /// No such file, adapter or repository.
  public static let notFound = ErrorCode(rawValue: PEFT_NOT_FOUND)
  /// The name is taken.
  public static let alreadyExists = ErrorCode(rawValue: PEFT_ALREADY_EXISTS)
  /// The system or the Hub does not allow it.
  public static let permissionDenied = ErrorCode(
    rawValue: PEFT_PERMISSION_DENIED)
  /// Out of memory, or over a limit.
  public static let resourceExhausted = ErrorCode(
    rawValue: PEFT_RESOURCE_EXHAUSTED)
  /// The state is wrong; do what the message says.
  public static let failedPrecondition = ErrorCode(
    rawValue: PEFT_FAILED_PRECONDITION)
  /// This version cannot do it.
  public static let unimplemented = ErrorCode(rawValue: PEFT_UNIMPLEMENTED)
  /// A bug of the library: report it.
  public static let internalError = ErrorCode(rawValue: PEFT_INTERNAL)
  /// Not now: the network, a full disk.
  public static let unavailable = ErrorCode(rawValue: PEFT_UNAVAILABLE)
  /// A file could not be read to its end.
  public static let dataLoss = ErrorCode(rawValue: PEFT_DATA_LOSS)
  /// A token or a certificate is not good.
  public static let unauthenticated = ErrorCode(rawValue: PEFT_UNAUTHENTICATED)
}
