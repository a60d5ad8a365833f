// swift-tools-version: 6.2
// The package finds libpeft in the folder that PEFT_LIB_DIR names, or else by
// pkg-config.
import Foundation
import PackageDescription

/// Ends with a sentence that says what to do.
func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("error: \(message)\n".utf8))
  exit(1)
}

/// Whether pkg-config knows libpeft.
func pkgConfigKnowsPeft() -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["pkg-config", "--exists", "peft"]
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}

/// What links libpeft.
func linkerSettings() -> [LinkerSetting] {
  guard let folder = Context.environment["PEFT_LIB_DIR"] else {
    if pkgConfigKnowsPeft() { return [] }
    fail(
      "libpeft not found: set PEFT_LIB_DIR to the folder that has it, or "
        + "PKG_CONFIG_PATH to the one that has peft.pc")
  }
  let names = ["libpeft.so", "libpeft.dylib", "libpeft.a"]
  let exists = FileManager.default.fileExists(atPath:)
  guard names.contains(where: { exists("\(folder)/\($0)") }) else {
    fail(
      "PEFT_LIB_DIR is \(folder), which has no libpeft.so, libpeft.dylib or "
        + "libpeft.a: set it to the folder that has it")
  }
  return [
    .unsafeFlags(["-L", folder, "-Xlinker", "-rpath", "-Xlinker", folder])
  ]
}

/// The program in one file of the folder Examples.
func example(_ name: String) -> Target {
  let all = ["SwitchAdapters", "Generate", "CountingAllocator"]
  return .executableTarget(
    name: name,
    dependencies: ["Peft"],
    path: "Examples",
    exclude: all.filter { $0 != name }.map { "\($0).swift" })
}

let package = Package(
  name: "Peft",
  platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .visionOS(.v2)],
  products: [.library(name: "Peft", targets: ["Peft"])],
  targets: [
    .systemLibrary(
      name: "CPeft",
      pkgConfig: Context.environment["PEFT_LIB_DIR"] == nil ? "peft" : nil),
    .target(
      name: "Peft",
      dependencies: ["CPeft"],
      linkerSettings: linkerSettings()),
    example("SwitchAdapters"),
    example("Generate"),
    example("CountingAllocator"),
    .testTarget(name: "PeftTests", dependencies: ["Peft"]),
  ],
  swiftLanguageModes: [.v6])
