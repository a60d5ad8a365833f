// swift-tools-version: 6.2
// A package of its own, so that programs that use Peft do not build it.
import PackageDescription

let package = Package(
  name: "PeftBenchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Peft", path: "..")],
  targets: [
    .executableTarget(
      name: "FfiOverhead",
      dependencies: [.product(name: "Peft", package: "Peft")])
  ],
  swiftLanguageModes: [.v6])
