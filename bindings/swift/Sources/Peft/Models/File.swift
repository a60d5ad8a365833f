import CPeft

/// Where the bytes of a file are.
public struct FileKind: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// In memory.
  public static let memory = FileKind(rawValue: PEFT_FILE_MEMORY)
  /// In a part of an open file, as packaged assets.
  public static let descriptor = FileKind(rawValue: PEFT_FILE_FD)
  /// Behind a function.
  public static let read = FileKind(rawValue: PEFT_FILE_READ)
}

/// A file that is not in a folder: of a model, or of an adapter.
public struct File: Sendable {
  /// Writes the bytes from `offset` on to the buffer, and returns their number,
  /// at least 1; else the read fails. It is called on the thread that called,
  /// one call at a time, and must not call the library.
  public typealias Read =
    @Sendable (_ offset: Int64, UnsafeMutableRawBufferPointer) -> Int

  /// As the folder would have it: "adapter_config.json".
  public let name: String
  /// Where its bytes are.
  public let kind: FileKind

  private var size: Int64 = 0
  private var fd: Int32 = -1
  private var offset: Int64 = 0
  private var memory: FileMemory?
  private var copyData = true
  private var reader: FileReader?

  /// Bytes in memory. Its tensors are copied.
  public init(_ name: String, bytes: [UInt8]) {
    self.name = name
    kind = .memory
    size = Int64(bytes.count)
    memory = FileMemory(copying: bytes)
  }

  /// Bytes in memory whose tensors stay where they are. `owner` keeps them
  /// alive and unchanged; it is let go of when the model, and all that the
  /// model gave, is gone.
  public init(
    _ name: String, unsafeBytes bytes: UnsafeRawBufferPointer,
    owner: any AnyObject & Sendable
  ) {
    self.name = name
    kind = .memory
    size = Int64(bytes.count)
    memory = FileMemory(bytes, owner: owner)
    copyData = false
  }

  /// Bytes of an open file, which must be readable and seekable. The descriptor
  /// stays the program's, and may be closed after the call.
  public init(
    _ name: String, descriptor: Int32, offset: Int64 = 0, size: Int64
  ) {
    self.name = name
    kind = .descriptor
    fd = descriptor
    self.offset = offset
    self.size = size
  }

  /// So many bytes behind a function, which is called until the call returns.
  public init(_ name: String, size: Int64, read: @escaping Read) {
    self.name = name
    kind = .read
    self.size = size
    reader = FileReader(read: read)
  }

  /// As the library reads it, with texts in `arena`. The file itself must
  /// outlive the call; `resources` keeps memory that is used where it is.
  func c(
    _ arena: inout Arena, _ resources: Resources?
  ) throws(PeftError) -> peft_file_t {
    var c = peft_file_t()
    peft_file_init(&c, MemoryLayout<peft_file_t>.stride)
    c.name = try arena.text(name)
    c.kind = kind.rawValue
    c.size = size
    if kind == .descriptor {
      c.fd = fd
      c.offset = offset
    }
    c.data = memory?.bytes.baseAddress
    c.copy_data = copyData ? 1 : 0
    if !copyData { resources?.keep(memory) }
    if let reader {
      c.read = readFile
      c.user_data = Unmanaged.passUnretained(reader).toOpaque()
    }
    return c
  }
}

extension [File] {
  /// All files as the library reads them; nil for none.
  func c(
    _ arena: inout Arena, _ resources: Resources?
  ) throws(PeftError) -> UnsafePointer<peft_file_t>? {
    var list: [peft_file_t] = []
    for file in self { list.append(try file.c(&arena, resources)) }
    return arena.values(list)
  }
}

/// The bytes of a file, and who owns them.
private final class FileMemory: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer
  // nil: the bytes are this object's.
  private let owner: (any AnyObject & Sendable)?

  init(_ bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
    self.bytes = bytes
    self.owner = owner
  }

  init(copying bytes: [UInt8]) {
    let copy = UnsafeMutableRawBufferPointer.allocate(
      byteCount: bytes.count, alignment: 64)
    copy.copyBytes(from: bytes)
    self.bytes = UnsafeRawBufferPointer(copy)
    owner = nil
  }

  deinit {
    if owner == nil { bytes.deallocate() }
  }
}

/// Keeps the closure that the library calls.
private final class FileReader: Sendable {
  let read: File.Read

  init(read: @escaping File.Read) { self.read = read }
}

/// The `peft_read_fn` of all files.
private let readFile: peft_read_fn = { userData, offset, buffer, size in
  guard let userData, let buffer else { return 0 }
  let reader = Unmanaged<FileReader>.fromOpaque(userData).takeUnretainedValue()
  let count = reader.read(
    offset, UnsafeMutableRawBufferPointer(start: buffer, count: Int(size)))
  return Int64(count)
}
