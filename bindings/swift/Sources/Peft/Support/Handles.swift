/// What every call on the library needs: its failures as errors, and objects
/// that live until the call has returned.
import CPeft

/// A `peft_status_t*`: nil is success.
typealias Status = OpaquePointer

/// Throws what `status` says, and frees it. Does nothing for nil.
@inline(__always)
func check(_ status: Status?) throws(PeftError) {
  guard let status else { return }
  throw PeftError(taking: status)
}

/// The handle that `body` writes.
@inline(__always)
func make(
  _ body: (UnsafeMutablePointer<OpaquePointer?>) -> Status?
) throws(PeftError) -> OpaquePointer {
  var handle: OpaquePointer?
  try check(body(&handle))
  guard let handle else { throw .internalError("a call gave back no handle") }
  return handle
}

/// A class that owns a handle.
protocol HandleOwner: AnyObject {
  var handle: OpaquePointer { get }
}

extension HandleOwner {
  /// Calls `body` with the handle; the object lives until it has returned,
  /// which Swift does not promise by itself.
  @inline(__always)
  func use<R>(_ body: (OpaquePointer) -> R) -> R {
    withExtendedLifetime(self) { body(handle) }
  }

  /// The same for a call that can fail.
  @inline(__always)
  func run(_ body: (OpaquePointer) -> Status?) throws(PeftError) {
    try check(use(body))
  }
}
