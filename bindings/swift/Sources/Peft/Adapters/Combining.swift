import CPeft

/// How adapters become one, as in PEFT's add_weighted_adapter. With d_i the
/// change that adapter i makes to a layer's weight, and w_i its weight. "svd":
/// the result is cut to a rank.
public struct CombinationType: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The sum of w_i d_i.
  public static let svd = CombinationType(rawValue: PEFT_COMBINE_SVD)
  /// Sums of A and of B: has cross terms.
  public static let linear = CombinationType(rawValue: PEFT_COMBINE_LINEAR)
  /// The sum of w_i d_i exactly; ranks add up.
  public static let cat = CombinationType(rawValue: PEFT_COMBINE_CAT)
  /// Largest elements, then a vote on signs.
  public static let ties = CombinationType(rawValue: PEFT_COMBINE_TIES)
  /// ``ties``, cut to a rank.
  public static let tiesSVD = CombinationType(rawValue: PEFT_COMBINE_TIES_SVD)
  /// Random elements, the others scaled up.
  public static let dareLinear = CombinationType(
    rawValue: PEFT_COMBINE_DARE_LINEAR)
  /// ``dareLinear``, cut to a rank.
  public static let dareLinearSVD = CombinationType(
    rawValue: PEFT_COMBINE_DARE_LINEAR_SVD)
  /// Random elements, then a vote on signs.
  public static let dareTies = CombinationType(
    rawValue: PEFT_COMBINE_DARE_TIES)
  /// ``dareTies``, cut to a rank.
  public static let dareTiesSVD = CombinationType(
    rawValue: PEFT_COMBINE_DARE_TIES_SVD)
  /// Largest elements, summed.
  public static let magnitudePrune = CombinationType(
    rawValue: PEFT_COMBINE_MAGNITUDE_PRUNE)
  /// ``magnitudePrune``, cut to a rank.
  public static let magnitudePruneSVD = CombinationType(
    rawValue: PEFT_COMBINE_MAGNITUDE_PRUNE_SVD)
}

/// How signs are voted on.
public struct MajoritySign: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Of the sum.
  public static let total = MajoritySign(rawValue: PEFT_MAJORITY_SIGN_TOTAL)
  /// Of the larger number.
  public static let frequency = MajoritySign(
    rawValue: PEFT_MAJORITY_SIGN_FREQUENCY)
}

/// How adapters are combined.
public struct CombineOptions: Sendable {
  /// How; PEFT's own default.
  public var combinationType = CombinationType.svd
  /// How signs are voted on.
  public var majoritySignMethod = MajoritySign.total
  /// The rank of the types with "svd"; 0: the largest of the sources.
  public var svdRank = 0
  /// The quantile of their elements that they are clamped to, over 0 and up to
  /// 1; 0: they are not.
  public var svdClamp: Float = 0
  /// The part of the elements that ties, dare and magnitudePrune keep, over 0
  /// and up to 1; 0: not set, which these types refuse.
  public var density: Float = 0
  /// Seeds torch's generator for dare.
  public var seed: UInt64 = 0
  /// Without effect: chooses an algorithm of torch's.
  public var svdFullMatrices = true
  /// Without effect: nil or "gesvd", "gesvdj", "gesvda"; others are refused.
  public var svdDriver: String?

  /// All defaults.
  public init() {}

  /// Of one type.
  public init(_ combinationType: CombinationType) {
    self.combinationType = combinationType
  }

  func c(_ arena: inout Arena) throws(PeftError) -> peft_combine_options_t {
    var c = peft_combine_options_t()
    peft_combine_options_init(&c, MemoryLayout<peft_combine_options_t>.stride)
    c.combination_type = combinationType.rawValue
    c.majority_sign_method = majoritySignMethod.rawValue
    c.svd_rank = Int64(svdRank)
    c.svd_clamp = svdClamp
    c.density = density
    c.seed = seed
    c.svd_full_matrices = svdFullMatrices ? 1 : 0
    c.svd_driver = try arena.text(svdDriver)
    return c
  }
}

extension Model {
  /// Makes adapter `newName` of loaded ones with as many finite weights, as
  /// PEFT's add_weighted_adapter does. Its scale is 1; it is frozen and not
  /// activated.
  public func addWeightedAdapter(
    _ newName: String, of names: [String], weights: [Float],
    options: CombineOptions = CombineOptions()
  ) throws(PeftError) {
    try checkCount(weights, of: names.count, "weights")
    var arena = Arena()
    defer { arena.free() }
    let newName = try arena.text(newName)
    let list = try arena.texts(names)
    var c = try options.c(&arena)
    let status = withAddress(weights) { weights in
      use {
        peft_model_add_weighted_adapter(
          $0, newName, list, weights, names.count, &c)
      }
    }
    try check(status)
  }
}
