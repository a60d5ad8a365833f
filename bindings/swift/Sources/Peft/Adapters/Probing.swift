import CPeft

/// How an adapter is probed.
public struct ProbeOptions: Sendable {
  /// Equal seeds give equal inputs.
  public var seed: UInt64
  /// The rows of random input that each layer gets, 1 to 4096.
  public var rows: Int

  /// All defaults.
  public init(seed: UInt64 = 0, rows: Int = 16) {
    self.seed = seed
    self.rows = rows
  }
}

/// What an adapter does to random input. Immutable.
public final class ProbeReport: @unchecked Sendable, HandleOwner {
  /// One layer.
  public struct Line: Hashable, Sendable {
    /// The module.
    public let name: String
    /// The norm over all rows of the base's output, without its bias.
    public let baseNorm: Double
    /// The norm of what the adapter changes in it.
    public let deltaNorm: Double
    /// ``deltaNorm`` / ``baseNorm``; infinite where only the base's is 0.
    public let ratio: Double
  }

  /// All layers together.
  public struct Summary: Hashable, Sendable {
    /// Layers that the adapter has a part in.
    public let numSites: Int
    /// Those among them whose output it does not change.
    public let numUnchanged: Int
    /// As in ``Line``, over all layers.
    public let ratio: Double
    /// The largest of a layer.
    public let maxRatio: Double
  }

  let handle: OpaquePointer

  init(taking handle: OpaquePointer) { self.handle = handle }

  deinit { peft_probe_report_free(handle) }

  /// The number of layers.
  public var count: Int { use { peft_probe_report_count($0) } }

  /// Layer `index`, in module order.
  public func line(_ index: Int) throws(PeftError) -> Line {
    var line = peft_probe_line_t()
    line.struct_size = MemoryLayout<peft_probe_line_t>.stride
    try run { peft_probe_report_get_line($0, index, &line) }
    // The text is the report's.
    return withExtendedLifetime(self) {
      Line(
        name: borrowed(line.name), baseNorm: line.base_norm,
        deltaNorm: line.delta_norm, ratio: line.ratio)
    }
  }

  /// All layers.
  public func lines() throws(PeftError) -> [Line] {
    var lines: [Line] = []
    for index in 0..<count { lines.append(try line(index)) }
    return lines
  }

  /// All layers together.
  public func summary() throws(PeftError) -> Summary {
    var summary = peft_probe_summary_t()
    summary.struct_size = MemoryLayout<peft_probe_summary_t>.stride
    try run { peft_probe_report_get_summary($0, &summary) }
    return Summary(
      numSites: Int(summary.num_sites),
      numUnchanged: Int(summary.num_unchanged), ratio: summary.ratio,
      maxRatio: summary.max_ratio)
  }
}

extension Model {
  /// Feeds random input to every layer that adapter `name` (nil: the first
  /// active one) has a part in, alone and with scale 1, and measures how much
  /// the output changes: an adapter that loaded but does nothing has ratios of
  /// 0. Costs about a forward of as many tokens.
  public func probeAdapter(
    _ name: String? = nil, options: ProbeOptions = ProbeOptions()
  ) throws(PeftError) -> ProbeReport {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    var c = peft_probe_options_t()
    peft_probe_options_init(&c, MemoryLayout<peft_probe_options_t>.stride)
    c.seed = options.seed
    c.rows = Int64(options.rows)
    return ProbeReport(
      taking: try make { out in
        use { peft_model_probe_adapter($0, name, &c, out) }
      })
  }
}
