import CPeft

/// Token ids, as rows of equal length.
public struct ForwardInput: Hashable, Sendable {
  /// ``batch`` * ``length`` ids, row by row, each below the vocabulary's size.
  public var ids: [Int64]
  /// The number of rows.
  public var batch: Int
  /// The number of ids in each.
  public var length: Int
  /// As many: 0 for padding, which nothing attends to, else 1. Of these tokens
  /// only. nil: no padding.
  public var attentionMask: [Int64]?
  /// As many. nil: counted on from the tokens in the cache, padding included.
  /// Generate does not read them.
  public var positionIDs: [Int64]?
  /// As many, of models that have token types. nil: all 0, or none at all where
  /// a model can do without (GPT-2).
  public var tokenTypeIDs: [Int64]?

  /// One row.
  public init(_ ids: [Int64]) {
    self.ids = ids
    batch = 1
    length = ids.count
  }

  /// Rows of equal length, one after another.
  public init(_ ids: [Int64], batch: Int, length: Int) {
    self.ids = ids
    self.batch = batch
    self.length = length
  }

  /// Rows that need not be of equal length: shorter ones are padded on the left
  /// with `padID`, which nothing attends to.
  public init(paddingLeft rows: [[Int64]], with padID: Int64 = 0) {
    let length = rows.map(\.count).max() ?? 0
    self.init(
      rows.flatMap { row in
        Array(repeating: padID, count: length - row.count) + row
      }, batch: rows.count, length: length)
    attentionMask = rows.flatMap { row in
      Array(repeating: 0, count: length - row.count)
        + Array(repeating: 1, count: row.count)
    }
  }

  /// Refuses arrays that the library would read beyond.
  func check() throws(PeftError) {
    try check(ids, "ids")
    try check(attentionMask, "attentionMask")
    try check(positionIDs, "positionIDs")
    try check(tokenTypeIDs, "tokenTypeIDs")
  }

  private func check(_ array: [Int64]?, _ name: String) throws(PeftError) {
    guard let array else { return }
    let (count, overflow) = batch.multipliedReportingOverflow(by: length)
    // Two negative numbers have a product that is none.
    if overflow || batch < 0 || array.count != count {
      throw .argument(
        "\(array.count) \(name) for \(batch) rows of \(length) tokens")
    }
  }

  /// Calls `body` with the input as the library reads it, without a copy.
  func with<R>(_ body: (UnsafePointer<peft_forward_input_t>) -> R) -> R {
    var c = peft_forward_input_t()
    peft_forward_input_init(&c, MemoryLayout<peft_forward_input_t>.stride)
    c.batch = Int64(batch)
    c.length = Int64(length)
    return withAddress(ids) { ids in
      withAddress(attentionMask) { mask in
        withAddress(positionIDs) { positions in
          withAddress(tokenTypeIDs) { types in
            c.ids = ids
            c.attention_mask = mask
            c.position_ids = positions
            c.token_type_ids = types
            return body(&c)
          }
        }
      }
    }
  }
}
