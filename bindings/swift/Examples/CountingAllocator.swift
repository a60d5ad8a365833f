// Counts the memory of the library while it opens a model.
// usage: CountingAllocator MODEL
import Peft
import Synchronization

/// The bytes that the library has, and the most that it had.
let current = Atomic(0)
let largest = Atomic(0)

/// Sizes are multiples of an alignment as they must be for free memory.
let allocator = Allocator { size, alignment in
  let now = current.add(size, ordering: .relaxed).newValue
  largest.max(now, ordering: .relaxed)
  return .allocate(byteCount: size, alignment: alignment)
} deallocate: { memory, size, _ in
  current.subtract(size, ordering: .relaxed)
  memory.deallocate()
}

func openAndRun(_ path: String) throws(PeftError) {
  let session = try Session(Model(path: path))
  try session.forward(ForwardInput([1, 7, 5]))
}

try Library.setAllocator(allocator)
try openAndRun(CommandLine.arguments[1])
let (peak, left) = (
  largest.load(ordering: .relaxed), current.load(ordering: .relaxed)
)
print(peak > 0 && left < peak ? "counted" : "\(left) of \(peak) bytes are left")
