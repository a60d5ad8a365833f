import CPeft

/// The kind of a line of a ``LoadReport``.
public struct ReportKind: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// A tensor in use; the detail is its module.
  public static let matched = ReportKind(rawValue: PEFT_REPORT_MATCHED)
  /// Asked for by the config, not in the file.
  public static let missing = ReportKind(rawValue: PEFT_REPORT_MISSING)
  /// In the file, used by nothing.
  public static let unexpected = ReportKind(rawValue: PEFT_REPORT_UNEXPECTED)
  /// Of the wrong shape or dtype.
  public static let mismatched = ReportKind(rawValue: PEFT_REPORT_MISMATCHED)
  /// A config key that was not understood.
  public static let ignoredKey = ReportKind(rawValue: PEFT_REPORT_IGNORED_KEY)
  /// Anything else worth knowing.
  public static let note = ReportKind(rawValue: PEFT_REPORT_NOTE)
}

/// What loading an adapter found. Immutable.
public final class LoadReport: @unchecked Sendable, HandleOwner {
  /// One line.
  public struct Line: Hashable, Sendable {
    /// What kind of line it is.
    public let kind: ReportKind
    /// A tensor's name or a config key; "" for most notes.
    public let name: String
    /// A sentence, or the module.
    public let detail: String
  }

  let handle: OpaquePointer

  init(taking handle: OpaquePointer) { self.handle = handle }

  deinit { peft_load_report_free(handle) }

  /// The number of lines of `kind`; nil: of all.
  public func count(_ kind: ReportKind? = nil) -> Int {
    use { peft_load_report_count($0, kind?.rawValue ?? 0) }
  }

  /// Line `index` of all.
  public func line(_ index: Int) throws(PeftError) -> Line {
    var line = peft_report_line_t()
    line.struct_size = MemoryLayout<peft_report_line_t>.stride
    try run { peft_load_report_get_line($0, index, &line) }
    // The texts are the report's.
    return withExtendedLifetime(self) {
      Line(
        kind: ReportKind(rawValue: line.kind), name: borrowed(line.name),
        detail: borrowed(line.detail))
    }
  }

  /// All lines.
  public func lines() throws(PeftError) -> [Line] {
    var lines: [Line] = []
    for index in 0..<count() { lines.append(try line(index)) }
    return lines
  }

  /// The number of sites that the adapter changes.
  public var numSites: Int { Int(use { peft_load_report_num_sites($0) }) }

  /// The number of elements of the tensors in use.
  public var numParameters: Int64 {
    use { peft_load_report_num_parameters($0) }
  }
}
