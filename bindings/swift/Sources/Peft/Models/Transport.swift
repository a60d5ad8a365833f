import CPeft

/// How a program with its own network stack makes the library's requests to the
/// Hub.
///
/// Sends the request, hands the answer to the exchange, first its head, then
/// the parts of its body, decoded (gzip, chunked) in order, and says how that
/// went. It follows no redirect, and sends nothing to a server whose
/// certificate it has not verified. While nothing arrives it asks
/// ``Exchange/isCancelled`` ten times a second. It is called on several threads
/// at once.
public typealias Transport =
  @Sendable (HTTPRequest, Exchange) -> TransportResult

/// What to send.
public struct HTTPRequest: Sendable {
  /// A field of the header.
  public struct Field: Hashable, Sendable {
    /// As "Accept".
    public let name: String
    /// What it says.
    public let value: String

    /// A field of this name.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// GET or HEAD.
  public let method: String
  /// Absolute, http or https, already encoded.
  public let url: String
  /// The header, all but Host and Connection. An access token may be among
  /// them: send them to no other address, not even after a redirect.
  public let fields: [Field]
  /// For connecting, and between any two parts of the answer.
  public let timeout: Duration

  init(_ request: peft_http_request_t) {
    method = borrowed(request.method)
    url = borrowed(request.url)
    fields = (0..<request.num_fields).map {
      Field(
        name: borrowed(request.field_names[$0]),
        value: borrowed(request.field_values[$0]))
    }
    timeout = .milliseconds(Int64(request.timeout_ms))
  }
}

/// Where the answer to one request goes, until the ``Transport`` that got it
/// returns; later its calls do nothing. One call at a time.
public struct Exchange {
  let handle: OpaquePointer

  /// Hands over the head of the answer. True: go on; false: end the exchange
  /// and return, as the rest is of no use.
  public func respond(status: Int, fields: [HTTPRequest.Field]) -> Bool {
    var arena = Arena()
    defer { arena.free() }
    guard let status = Int32(exactly: status) else { return false }
    do throws(PeftError) {
      let names = try arena.texts(fields.map(\.name))
      let values = try arena.texts(fields.map(\.value))
      return peft_exchange_respond(
        handle, status, names, values, fields.count) == 0
    } catch {
      return false  // A text that holds a NUL is no part of a header.
    }
  }

  /// Hands over the next bytes of the body. True: go on; false: end the
  /// exchange and return.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    peft_exchange_write(handle, bytes.baseAddress, bytes.count) == 0
  }

  /// The same for an array.
  public func write(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { write($0) }
  }

  /// Whether the exchange is to end.
  public var isCancelled: Bool { peft_exchange_is_cancelled(handle) != 0 }
}

/// How a request went.
public struct TransportResult: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The answer is complete.
  public static let ok = TransportResult(rawValue: PEFT_TRANSPORT_OK)
  /// No connection, or it broke: ``ErrorID/hubConnect``.
  public static let connect = TransportResult(rawValue: PEFT_TRANSPORT_CONNECT)
  /// Nothing came for too long: ``ErrorID/hubTimeout``.
  public static let timeout = TransportResult(rawValue: PEFT_TRANSPORT_TIMEOUT)
  /// The server is not trusted: ``ErrorID/hubTls``.
  public static let tls = TransportResult(rawValue: PEFT_TRANSPORT_TLS)
}
