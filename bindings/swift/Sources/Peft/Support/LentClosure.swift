/// Closures that the library calls before the call that got them returns.

/// Calls `body` with the address of `closure`, as the `user_data` of a
/// callback.
func lend<T, R>(
  _ closure: (T) -> CallbackAction,
  _ body: (UnsafeMutableRawPointer) -> R
) -> R {
  withoutActuallyEscaping(closure) { closure in
    var kept = closure
    return withUnsafeMutablePointer(to: &kept) {
      body(UnsafeMutableRawPointer($0))
    }
  }
}

/// The closure that ``lend(_:_:)`` made the address of.
func lentClosure<T>(
  _ userData: UnsafeMutableRawPointer?,
  _ type: ((T) -> CallbackAction).Type
) -> (T) -> CallbackAction {
  guard let userData else { return { _ in .cancel } }
  return userData.assumingMemoryBound(to: type).pointee
}
