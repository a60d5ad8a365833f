import CPeft

/// Where and how files are fetched from the Hugging Face Hub, for calls that
/// take the id of a repository in place of a folder.
///
/// What is not said here is read from the environment at each call, as in
/// Python: `HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT` and so on.
public struct HubOptions: Sendable {
  /// A branch, tag, commit or "refs/pr/1"; nil: main.
  public var revision: String?
  /// An access token; nil: that of the environment or of the token file.
  public var token: String?
  /// Where downloads are kept; nil: where Python keeps them.
  public var cacheDir: String?
  /// One "scheme=URL" each, as "https=http://10.0.0.1:3128", the scheme http,
  /// https or all. They stand for all that the environment says of proxies.
  public var proxies: [String] = []
  /// Whether no request is made.
  public var localFilesOnly = false
  /// Whether what is there is fetched again.
  public var forceDownload = false
  /// The Hub's address; nil: "https://huggingface.co", or that of the
  /// environment.
  public var endpoint: String?
  /// Called while something is fetched, ten times a second or more, on any
  /// thread, one call at a time. After a cancel the next call goes on where it
  /// was.
  public var onDownload: (@Sendable (DownloadProgress) -> CallbackAction)?
  /// Makes the requests in place of the library's own network code.
  public var transport: Transport?

  /// All defaults.
  public init() {}
}

/// How far a download is.
public struct DownloadProgress: Hashable, Sendable {
  /// The bytes that are there.
  public let bytes: Int64
  /// All bytes; 0 until the Hub has said them.
  public let totalBytes: Int64
  /// The files that are done.
  public let files: Int
  /// All files; 0 until the Hub has said them.
  public let totalFiles: Int
}

/// The fields of the Hub that two structs of the header have.
protocol HubFields {
  var revision: UnsafePointer<CChar>! { get set }
  var token: UnsafePointer<CChar>! { get set }
  var cache_dir: UnsafePointer<CChar>! { get set }
  var proxies: UnsafePointer<UnsafePointer<CChar>?>! { get set }
  var num_proxies: Int { get set }
  var local_files_only: Int32 { get set }
  var force_download: Int32 { get set }
  var endpoint: UnsafePointer<CChar>! { get set }
  var on_download: peft_download_fn! { get set }
  var user_data: UnsafeMutableRawPointer! { get set }
  var transport: peft_transport_fn! { get set }
  var transport_user_data: UnsafeMutableRawPointer! { get set }
}

extension peft_load_options_t: HubFields {}
extension peft_model_options_t: HubFields {}

extension HubOptions {
  /// Writes all to `fields`; their texts are in `arena`, and the callbacks in
  /// what is returned, which must live as long as the call.
  func fill<Fields: HubFields>(
    _ fields: inout Fields, _ arena: inout Arena
  ) throws(PeftError) -> HubCallbacks? {
    fields.revision = try arena.text(revision)
    fields.token = try arena.text(token)
    fields.cache_dir = try arena.text(cacheDir)
    fields.proxies = try arena.texts(proxies)
    fields.num_proxies = proxies.count
    fields.local_files_only = localFilesOnly ? 1 : 0
    fields.force_download = forceDownload ? 1 : 0
    fields.endpoint = try arena.text(endpoint)
    if onDownload == nil && transport == nil { return nil }
    let callbacks = HubCallbacks(onDownload: onDownload, transport: transport)
    let userData = Unmanaged.passUnretained(callbacks).toOpaque()
    if onDownload != nil {
      fields.on_download = reportDownload
      fields.user_data = userData
    }
    if transport != nil {
      fields.transport = sendRequest
      fields.transport_user_data = userData
    }
    return callbacks
  }
}

/// Keeps the closures that the library calls during one call.
final class HubCallbacks: Sendable {
  let onDownload: (@Sendable (DownloadProgress) -> CallbackAction)?
  let transport: Transport?

  init(
    onDownload: (@Sendable (DownloadProgress) -> CallbackAction)?,
    transport: Transport?
  ) {
    self.onDownload = onDownload
    self.transport = transport
  }

  static func from(_ userData: UnsafeMutableRawPointer?) -> HubCallbacks? {
    userData.map {
      Unmanaged<HubCallbacks>.fromOpaque($0).takeUnretainedValue()
    }
  }
}

/// The `peft_download_fn` of all calls.
private let reportDownload: peft_download_fn = {
  userData, bytes, totalBytes, files, totalFiles in
  let progress = DownloadProgress(
    bytes: bytes, totalBytes: totalBytes, files: Int(files),
    totalFiles: Int(totalFiles))
  return HubCallbacks.from(userData)?.onDownload?(progress).code ?? 0
}

/// The `peft_transport_fn` of all calls.
private let sendRequest: peft_transport_fn = { userData, request, exchange in
  guard let transport = HubCallbacks.from(userData)?.transport, let request,
    let exchange
  else { return PEFT_TRANSPORT_CONNECT }
  let result = transport(
    HTTPRequest(request.pointee), Exchange(handle: exchange))
  return result.rawValue
}
