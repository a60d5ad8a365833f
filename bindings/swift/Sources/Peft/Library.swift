import CPeft
import Synchronization

/// The library as a whole.
public enum Library {
  /// The API number of the library that is loaded. It must be at least
  /// ``headerVersion``.
  public static var apiVersion: Int { Int(peft_api_version()) }

  /// The API number of the header that this package was compiled with.
  public static var headerVersion: Int { Int(PEFT_API_VERSION) }

  /// What the library is and can do here.
  public static var buildInfo: BuildInfo {
    var info = peft_build_info_t()
    info.struct_size = MemoryLayout<peft_build_info_t>.stride
    peft_get_build_info(&info)
    return BuildInfo(info)
  }

  /// Sends the library's log lines to `logger` instead of stderr; nil drops
  /// them.
  ///
  /// The logger may be called from any thread, one call at a time, and must not
  /// call the library. When this returns, the one before it is not called any
  /// more.
  public static func setLogger(
    _ logger: (@Sendable (LogLevel, String) -> Void)?
  ) {
    let box = logger.map { LoggerBox(log: $0) }
    currentLogger.withLock { current in
      peft_set_logger(
        box == nil ? nil : logLine,
        box.map { Unmanaged.passUnretained($0).toOpaque() })
      current = box
    }
  }

  /// Drops all lines below `level`; at first none.
  public static func setLogLevel(_ level: LogLevel) throws(PeftError) {
    try check(peft_set_log_level(level.rawValue))
  }
}

/// How serious a line of the log is.
public struct LogLevel: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Worth knowing once.
  public static let info = LogLevel(rawValue: PEFT_LOG_INFO)
  /// A mistake of the program that did no harm.
  public static let warning = LogLevel(rawValue: PEFT_LOG_WARNING)
  /// Something was lost.
  public static let error = LogLevel(rawValue: PEFT_LOG_ERROR)
  /// Of no line, for ``Library/setLogLevel(_:)``.
  public static let none = LogLevel(rawValue: PEFT_LOG_NONE)
}

/// What the library is and can do on this machine.
public struct BuildInfo: Hashable, Sendable {
  /// The API number of the library.
  public let apiVersion: Int
  /// As "0.1.0".
  public let version: String
  /// As "gcc 12.2.0".
  public let compiler: String
  /// The variant that was chosen for this machine, as "avx512".
  public let cpuKernels: String
  /// PEFT methods that can run, as "LORA".
  public let methods: [String]
  /// Families of base models that can run, as "llama".
  public let modelTypes: [String]

  init(_ info: peft_build_info_t) {
    func list(_ text: UnsafePointer<CChar>?) -> [String] {
      borrowed(text).split(separator: ",").map { String($0) }
    }
    apiVersion = Int(info.api_version)
    version = borrowed(info.version)
    compiler = borrowed(info.compiler)
    cpuKernels = borrowed(info.cpu_kernels)
    methods = list(info.methods)
    modelTypes = list(info.model_types)
  }
}

/// Keeps the closure that the library calls.
private final class LoggerBox: Sendable {
  let log: @Sendable (LogLevel, String) -> Void

  init(log: @escaping @Sendable (LogLevel, String) -> Void) { self.log = log }
}

private let currentLogger = Mutex<LoggerBox?>(nil)

/// The `peft_log_fn` of all loggers.
private let logLine: peft_log_fn = { userData, level, line in
  guard let userData else { return }
  let box = Unmanaged<LoggerBox>.fromOpaque(userData).takeUnretainedValue()
  box.log(LogLevel(rawValue: level), borrowed(line))
}
