import CPeft

/// A failure of the library.
///
/// Programs decide by ``code`` or ``id``; people read ``message``. After a
/// failure nothing has changed.
public struct PeftError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public let code: ErrorCode
  /// What happened exactly; stable over versions.
  public let id: ErrorID
  /// A sentence that names the thing and says what to do.
  public let message: String
  /// The tensor, config key or file that is wrong; "" where there is none.
  public let subject: String
  /// What was expected of the subject, as "[8, 128]"; "" where it does not
  /// apply.
  public let expected: String
  /// What was found instead; "" where it does not apply.
  public let found: String

  /// The message with the id before it.
  public var description: String { "\(id.rawValue): \(message)" }

  /// What `status` says; frees it.
  init(taking status: OpaquePointer) {
    code = ErrorCode(rawValue: peft_status_code(status))
    id = ErrorID(rawValue: borrowed(peft_status_id(status)))
    message = borrowed(peft_status_message(status))
    subject = borrowed(peft_status_subject(status))
    expected = borrowed(peft_status_expected(status))
    found = borrowed(peft_status_found(status))
    peft_status_free(status)
  }

  private init(_ code: ErrorCode, _ id: ErrorID, _ message: String) {
    (self.code, self.id, self.message) = (code, id, message)
    (subject, expected, found) = ("", "", "")
  }
}

extension PeftError {
  /// An argument that this package refuses before the library could read
  /// beyond an array.
  static func argument(_ message: String) -> PeftError {
    PeftError(.invalidArgument, .argument, message)
  }

  /// Elements of another type than those asked for.
  static func elementType(_ message: String) -> PeftError {
    PeftError(.invalidArgument, .tensorDtype, message)
  }

  /// A text that C would cut off.
  static func nulInText(_ text: String) -> PeftError {
    let shown = text.split(separator: "\0", omittingEmptySubsequences: false)
      .joined(separator: "\\0")
    return PeftError(
      .invalidArgument, .utf8,
      "the text \"\(shown)\" holds a NUL: take it out")
  }

  /// A call on a session whose memory is lent to a closure.
  static let sessionLent = PeftError(
    .failedPrecondition, .sessionBusy,
    "the session lends its outputs to a closure: call it after that returned")

  /// A generation whose task was cancelled.
  static let taskCancelled = PeftError(
    .cancelled, .cancelled, "the task that reads the tokens was cancelled")

  /// What the library must not do.
  static func internalError(_ message: String) -> PeftError {
    PeftError(.internalError, .internalError, message)
  }
}
