import CPeft

/// Which adapters the rows of a forward or a generate run under.
public enum Rows: Sendable {
  /// The name of the base model among ``named(_:)``.
  public static let base = "__base__"

  /// All under those that are active when the call begins.
  case active
  /// Each under one of its own, whatever is active; ``base`` for the base
  /// model.
  case named([String])
  /// Each under its own, or all under a single one; nil is the base model.
  case activations([Activation?])
}

/// The fields of rows that two structs of the header have.
protocol RowFields {
  var adapter_names: UnsafePointer<UnsafePointer<CChar>?>! { get set }
  var num_adapter_names: Int { get set }
  var activations: UnsafePointer<OpaquePointer?>! { get set }
  var num_activations: Int { get set }
}

extension peft_forward_options_t: RowFields {}
extension peft_generate_options_t: RowFields {}

extension Rows {
  /// Writes them to `fields`, with arrays in `arena`. The activations must
  /// outlive the call.
  func fill<Fields: RowFields>(
    _ fields: inout Fields, _ arena: inout Arena
  ) throws(PeftError) {
    switch self {
    case .active: break
    case .named(let names):
      if names.isEmpty { throw Self.empty }
      fields.adapter_names = try arena.texts(names)
      fields.num_adapter_names = names.count
    case .activations(let activations):
      if activations.isEmpty { throw Self.empty }
      fields.activations = arena.values(activations.map { $0?.handle })
      fields.num_activations = activations.count
    }
  }

  /// The library would take an empty list for none at all.
  private static let empty = PeftError.argument(
    "rows without a single name or activation")
}
