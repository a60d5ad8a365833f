import Synchronization

/// What of the program's own a model uses where it is: memory of weights and
/// files, and threads. It lives as long as the model and all that the model
/// gave.
final class Resources: Sendable {
  private let owners = Mutex<[any AnyObject & Sendable]>([])

  /// Keeps `owner`, too.
  func keep(_ owner: (any AnyObject & Sendable)?) {
    guard let owner else { return }
    owners.withLock { $0.append(owner) }
  }
}
