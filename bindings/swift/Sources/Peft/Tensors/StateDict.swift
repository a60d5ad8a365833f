import CPeft

/// Tensors by name, in name order. One call at a time: not Sendable.
public final class StateDict: HandleOwner {
  let handle: OpaquePointer
  // What its tensors use of the program's own; of a model that gave it.
  let resources: Resources?

  init(taking handle: OpaquePointer, _ resources: Resources) {
    self.handle = handle
    self.resources = resources
  }

  /// An empty one.
  public init() throws(PeftError) {
    resources = nil
    handle = try make { peft_state_dict_create($0) }
  }

  /// The tensors of a safetensors file or of a torch.save file (`.bin`, `.pt`),
  /// told apart by their contents. The file is read, not mapped.
  public init(reading path: String) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    resources = nil
    handle = try make { peft_state_dict_read(path, $0) }
  }

  deinit {
    peft_state_dict_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// Writes a safetensors file. After a failure what was at `path` is
  /// unchanged.
  public func write(to path: String) throws(PeftError) {
    try check(
      withText(path) { path in use { peft_state_dict_write($0, path) } })
  }

  /// Adds a copy of the elements under `name`, replacing what was there.
  public func set(
    _ name: String, _ tensor: borrowing TensorView
  ) throws(PeftError) {
    var view = tensor.view
    try check(
      withText(name) { name in use { peft_state_dict_set($0, name, &view) } })
  }

  /// The same for elements that must be as many as `shape` says.
  public func set<T: TensorElement>(
    _ name: String, _ elements: [T], shape: [Int]
  ) throws(PeftError) {
    try withTensorView(of: elements, shape: shape) {
      (view) throws(PeftError) in try set(name, view)
    }
  }

  /// The number of tensors.
  public var count: Int { use { peft_state_dict_size($0) } }

  /// The names of all tensors, sorted.
  public var names: [String] {
    use { handle in
      (0..<peft_state_dict_size(handle)).map {
        borrowed(peft_state_dict_name(handle, $0))
      }
    }
  }

  /// The tensor `name`, which outlives the state dict. Fails with
  /// ``ErrorID/tensorMissing``.
  public func tensor(_ name: String) throws(PeftError) -> Tensor {
    var tensor: OpaquePointer?
    try check(
      withText(name) { name in use { peft_state_dict_get($0, name, &tensor) } })
    guard let tensor else { throw .internalError("no tensor") }
    return Tensor(taking: tensor, resources)
  }
}
