import Foundation
import Peft
import Synchronization
import XCTest

/// A Hub with one repository, "owner/name", of two small files.
private final class SmallHub: Sendable {
  private let requests = Mutex<[HTTPRequest]>([])

  /// Contents with git's hashes of them, which the library verifies.
  private let files: [String: (content: [UInt8], etag: String)] = [
    "adapter_config.json": (
      Array(#"{"peft_type": "LORA"}"#.utf8),
      "29728f547874b44dbc05e1617de6e72d2c271105"
    ),
    "adapter_model.safetensors": (
      [2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8),
      "7b19cc601c0e9f2f80f83c1b0b2d9586d018ae2b"
    ),
  ]

  var seen: [HTTPRequest] { requests.withLock { $0 } }

  private let commit = String(repeating: "a", count: 40)

  func answer(_ request: HTTPRequest, _ exchange: Exchange) -> TransportResult {
    requests.withLock { $0.append(request) }
    let name = request.url.split(separator: "/").last.map { String($0) } ?? ""
    if request.url.contains("/tree/") {
      return send(exchange, 200, Array("[\(entries)]".utf8))
    }
    if request.url.contains("/api/") {
      let info = #"{"sha": "\#(commit)", "siblings": []}"#
      return send(exchange, 200, Array(info.utf8))
    }
    guard let file = files[name] else { return send(exchange, 404, []) }
    let etag = HTTPRequest.Field(name: "ETag", value: "\"\(file.etag)\"")
    return send(exchange, 200, file.content, [etag])
  }

  /// The files, as the Hub lists them.
  private var entries: String {
    files.keys.sorted().map { name in
      let (content, etag) = files[name] ?? ([], "")
      return #"{"type": "file", "path": "\#(name)", "oid": "\#(etag)", "#
        + #""size": \#(content.count)}"#
    }.joined(separator: ", ")
  }

  private func send(
    _ exchange: Exchange, _ status: Int, _ body: [UInt8],
    _ more: [HTTPRequest.Field] = []
  ) -> TransportResult {
    let fields = [
      HTTPRequest.Field(name: "X-Repo-Commit", value: commit),
      HTTPRequest.Field(name: "Content-Length", value: "\(body.count)"),
    ]
    if exchange.respond(status: status, fields: fields + more) {
      _ = exchange.write(body)  // The end comes either way.
    }
    return .ok
  }
}

final class TransportTest: XCTestCase {
  private func options(
    _ transport: @escaping Transport
  ) throws -> LoadOptions {
    var options = LoadOptions()
    options.hub.cacheDir = try temporaryFolder().path
    options.hub.endpoint = "http://hub.example"
    options.hub.token = "hf_token"
    options.hub.transport = transport
    return options
  }

  func testATransportMakesTheRequests() throws {
    let hub = SmallHub()
    let folder = try AdapterFolder.fetch(
      "owner/name", options: options { hub.answer($0, $1) })
    let config = try String(
      contentsOfFile: folder + "/adapter_config.json", encoding: .utf8)
    XCTAssertEqual(config, #"{"peft_type": "LORA"}"#)
    let first = try XCTUnwrap(hub.seen.first)
    XCTAssertTrue(first.url.hasPrefix("http://hub.example/"))
    XCTAssertTrue(["GET", "HEAD"].contains(first.method))
    XCTAssertGreaterThan(first.timeout, .zero)
    XCTAssertTrue(
      first.fields.contains { $0.value == "Bearer hf_token" })
  }

  func testADownloadReportsItsProgress() throws {
    let hub = SmallHub()
    let largest = Mutex<Int64>(0)
    var options = try options { hub.answer($0, $1) }
    options.hub.onDownload = { progress in
      largest.withLock { $0 = max($0, progress.bytes) }
      return .proceed
    }
    _ = try AdapterFolder.fetch("owner/name", options: options)
    XCTAssertGreaterThan(largest.withLock { $0 }, 0)
  }

  func testADownloadCanBeCancelled() throws {
    let hub = SmallHub()
    var options = try options { hub.answer($0, $1) }
    options.hub.onDownload = { _ in .cancel }
    let error = failure { () throws(PeftError) in
      try AdapterFolder.fetch("owner/name", options: options)
    }
    XCTAssertEqual(error?.id, .cancelled)
  }

  func testAServerThatIsNotTrustedIsAnError() throws {
    let options = try options { _, _ in .tls }
    let error = failure { () throws(PeftError) in
      try AdapterFolder.fetch("owner/name", options: options)
    }
    XCTAssertEqual(error?.id, .hubTls)
  }
}
