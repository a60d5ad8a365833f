/// A constant of the library. Values that this package does not know, as those
/// of a newer library, are kept as they are: a `switch` needs a `default`.
public protocol OpenEnum: RawRepresentable, Hashable, Sendable
where RawValue == Int32 {
  /// The constant with the library's number for it.
  init(rawValue: Int32)
}

/// What a callback wants to happen next.
public enum CallbackAction: Sendable {
  /// Go on.
  case proceed
  /// Stop: the call fails with ``ErrorID/cancelled``.
  case cancel

  /// As the library reads it.
  var code: Int32 { self == .proceed ? 0 : 1 }
}
