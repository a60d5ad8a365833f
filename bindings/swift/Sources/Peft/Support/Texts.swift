/// Texts on their way to the library and back.
import CPeft

/// Calls `body` with `text` as C has it, without a copy where Swift has it that
/// way already; with nil for nil. A text that holds a NUL would be cut off
/// there, so it is refused.
@inline(__always)
func withText<R>(
  _ text: String?, _ body: (UnsafePointer<CChar>?) -> R
) throws(PeftError) -> R {
  guard let text else { return body(nil) }
  if text.utf8.contains(0) { throw .nulInText(text) }
  return text.withCString(body)
}

/// A text that the library lends; "" for nil.
func borrowed(_ text: UnsafePointer<CChar>?) -> String {
  text.map { String(cString: $0) } ?? ""
}

/// The text of a `peft_string_t` that `body` makes.
func makeText(
  _ body: (UnsafeMutablePointer<OpaquePointer?>) -> Status?
) throws(PeftError) -> String {
  let string = try make(body)
  defer { peft_string_free(string) }
  let bytes = UnsafeRawBufferPointer(
    start: peft_string_data(string), count: peft_string_size(string))
  return String(decoding: bytes, as: UTF8.self)
}

/// The names of a `peft_string_list_t` that `body` makes.
func makeNames(
  _ body: (UnsafeMutablePointer<OpaquePointer?>) -> Status?
) throws(PeftError) -> [String] {
  let list = try make(body)
  defer { peft_string_list_free(list) }
  return (0..<peft_string_list_size(list)).map {
    borrowed(peft_string_list_get(list, $0))
  }
}
