// swift-tools-version: 6.2
import PackageDescription

// A program of its own that uses the library FlowFile. In another package the dependency is
// `.package(url: "https://…/mitm", from: "1.0.0")`.
let package = Package(
    name: "FlowFileExample",
    dependencies: [
        .package(name: "mitm", path: "../..")
    ],
    targets: [
        .executableTarget(name: "flow-file-example", dependencies: [.product(name: "FlowFile", package: "mitm")])
    ]
)
