// swift-tools-version: 6.2
import PackageDescription

// One array of settings for every target: Swift 6 mode, strict memory safety, warnings are errors. There are no unsafe flags, since
// SwiftPM refuses them in a dependency; tools/build gives a release build those that make it fast.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tool(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies + [arguments, "ToolSupport"], swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport", nioCore], swiftSettings: settings)
}

func system(_ name: String, pkgConfig: String, debian: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([debian])])
}

let package = Package(
    name: "mitm",
    products: [
        .library(name: "FlowFile", targets: ["FlowFile"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    // Bottom-up, in the order of the layers: a target depends only on what stands above it in this list.
    targets: [
        // 0: the C libraries
        system("COpenSSL", pkgConfig: "openssl", debian: "libssl-dev"),
        system("CZlib", pkgConfig: "zlib", debian: "zlib1g-dev"),
        system("CLZ4", pkgConfig: "liblz4", debian: "liblz4-dev"),
        system("CBrotli", pkgConfig: "libbrotlidec", debian: "libbrotli-dev"),
        system("CZstd", pkgConfig: "libzstd", debian: "libzstd-dev"),
        system("CNghttp2", pkgConfig: "libnghttp2", debian: "libnghttp2-dev"),
        .systemLibrary(name: "CWideCharacters"),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        system("CJemalloc", pkgConfig: "jemalloc", debian: "libjemalloc-dev"),
        system("CPCRE2", pkgConfig: "libpcre2-8", debian: "libpcre2-dev"),
        // 1: values
        module("Digests", ["COpenSSL", nioCore]),
        module("Ciphers", ["COpenSSL", nioCore]),
        module("HTTPSemantics", [nioCore]),
        module("FlowModel", ["HTTPSemantics", nioCore]),
        module("FlowRecords", ["FlowModel", "HTTPSemantics", nioCore]),
        // 2: one protocol each, bytes in, events out
        module("HTTP1Codec", ["HTTPSemantics", nioCore]),
        module("HTTP2Codec", ["HTTPSemantics", "CNghttp2", nioCore]),
        module("WebSocketCodec", ["HTTPSemantics", "CZlib", nioCore]),
        module("TLSEngine", ["COpenSSL", nioCore]),
        module("ContentCoding", ["HTTPSemantics", "CZlib", "CBrotli", "CZstd", nioCore]),
        module("ArrowStream", ["HTTPSemantics", "CLZ4", nioCore]),
        module("JSONQuery", ["HTTPSemantics", "CPCRE2", nioCore]),
        module("Protobuf", ["HTTPSemantics", nioCore]),
        module("ContentFormats", ["HTTPSemantics", "JSONQuery", nioCore]),
        module("AgeFormat", ["HTTPSemantics", "Digests", "Ciphers", nioCore]),
        .target(
            name: "Secrets", dependencies: ["CPCRE2", nioCore, yams], resources: [.embedInCode("Data/secret-rules.yaml")],
            swiftSettings: settings),
        // 3: sessions; the flow file and what is asked of it
        module(
            "ProxyCore",
            ["HTTPSemantics", "FlowModel", "FlowRecords", "HTTP1Codec", "HTTP2Codec", "WebSocketCodec", "TLSEngine", nioCore]),
        module("ContentLimit", ["Digests", "FlowModel", "HTTPSemantics", nioCore]),
        module("FlowArchive", ["HTTPSemantics", "FlowModel", "FlowRecords", "AgeFormat", "CLZ4", nioCore]),
        module(
            "FlowFilter",
            [
                "HTTPSemantics", "FlowModel", "ContentCoding", "ContentFormats", "JSONQuery", "Protobuf", "Secrets", "CPCRE2",
                nioCore,
            ]),
        module(
            "Redaction",
            [
                "Digests", "HTTPSemantics", "FlowModel", "ContentCoding", "ContentFormats", "JSONQuery", "FlowFilter", "Secrets",
                nioCore,
            ]),
        module(
            "FlowPrinter",
            ["HTTPSemantics", "FlowModel", "ContentCoding", "ContentFormats", "Protobuf", "CWideCharacters", nioCore]),
        module(
            "FlowTable",
            [
                "ArrowStream", "HTTPSemantics", "FlowModel", "FlowFilter", "FlowPrinter", "ContentCoding", "JSONQuery", nioCore,
            ]),
        module("ForeignArchives", ["Digests", "HTTPSemantics", "FlowModel", "ContentCoding", "JSONQuery", "FlowPrinter", nioCore]),
        .target(
            name: "FlowReplay",
            dependencies: [
                "HTTPSemantics", "FlowModel", "FlowArchive", "FlowPrinter", "Redaction", "Secrets", "ContentCoding", "Digests",
                "JSONQuery", nioCore,
            ],
            resources: [.embedInCode("Data/volatile-query.txt")], swiftSettings: settings),
        module("FlowView", ["HTTPSemantics", "FlowModel", "FlowArchive", "FlowFilter", "FlowTable", "FlowPrinter", nioCore]),
        // the library for other packages: the only module with public declarations
        module("FlowFile", ["FlowModel", "FlowArchive", "FlowFilter", "ContentCoding", "HTTPSemantics", nioCore]),
        // 4: sockets, the thread that records, and what the tools share
        module("ProxyTransport", ["ProxyCore", "FlowModel", "FlowRecords", "TLSEngine", nioCore, nioPosix]),
        module(
            "FlowRecording",
            [
                "FlowModel", "FlowRecords", "FlowArchive", "FlowFilter", nioCore,
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
            ]),
        // A new commit compiles this target again and no other (--version).
        .target(
            name: "CCommit", cSettings: Context.environment["MITM_COMMIT"].map { [.define("MITM_COMMIT", to: $0)] } ?? []),
        module(
            "ToolSupport",
            [
                "AgeFormat", "ContentLimit", "FlowModel", "FlowArchive", "FlowFilter", "FlowPrinter", "FlowTable", "ContentCoding",
                "Protobuf", "Redaction", "Secrets",
                "ForeignArchives",
                "JSONQuery",
                "CCrypt", "CCommit", nioCore, arguments, yams,
            ]),
        module(
            "ProxyToolSupport",
            [
                "FlowModel", "FlowRecords", "FlowArchive", "FlowPrinter", "FlowRecording", "ProxyCore", "ProxyTransport",
                "TLSEngine", "HTTP2Codec", "ToolSupport", "CJemalloc", nioCore, arguments,
            ]),
        .target(name: "CViewPage", exclude: ["page"]),
        module(
            "ViewServer",
            [
                "HTTPSemantics", "FlowModel", "FlowArchive", "FlowFilter", "FlowTable", "FlowPrinter", "FlowReplay", "FlowView",
                "ForeignArchives", "ContentCoding", "Digests", "JSONQuery", "Protobuf", "Redaction", "ToolSupport", "CViewPage",
                nioCore, nioPosix,
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOWebSocket", package: "swift-nio"),
            ]),
        // 5: the tools
        tool(
            "mitm-record",
            [
                "ProxyCore", "ProxyTransport", "TLSEngine", "HTTP1Codec", "HTTP2Codec", "FlowModel", "FlowArchive", "FlowFilter",
                "FlowRecording", "ProxyToolSupport",
                nioCore,
            ]),
        tool("mitm-dump", ["FlowModel", "FlowArchive", "FlowFilter", "FlowTable", nioCore]),
        tool("mitm-filter", ["FlowModel", "FlowArchive", "FlowFilter", "FlowTable", "Secrets", nioCore]),
        tool("mitm-view", ["FlowModel", "FlowArchive", "FlowFilter", "FlowView", "ViewServer", nioCore]),
        tool(
            "mitm-serve",
            [
                "ProxyCore", "ProxyTransport", "TLSEngine", "HTTP2Codec", "FlowModel", "FlowArchive", "FlowFilter", "FlowPrinter",
                "FlowRecording", "FlowReplay", "Secrets", "ProxyToolSupport", nioCore,
            ]),
        tool(
            "mitm-replay",
            [
                "ProxyCore", "ProxyTransport", "TLSEngine", "HTTP1Codec", "HTTP2Codec", "HTTPSemantics", "FlowModel", "FlowArchive",
                "FlowFilter", "FlowPrinter", "FlowRecords", "FlowRecording", "FlowReplay", "Secrets", "ProxyToolSupport",
                nioCore,
            ]),
        // benchmarks: made traffic, as a file and in memory
        .target(
            name: "BenchmarkTraffic", dependencies: ["FlowModel", "HTTPSemantics", "CBrotli", "CZlib", nioCore],
            path: "Benchmarks/BenchmarkTraffic", swiftSettings: settings),
        .executableTarget(
            name: "flow-generator", dependencies: ["BenchmarkTraffic", "FlowArchive"], path: "Benchmarks/FlowGenerator",
            swiftSettings: settings),
        .executableTarget(
            name: "micro-benchmarks",
            dependencies: [
                "BenchmarkTraffic", "HTTPSemantics", "HTTP1Codec", "HTTP2Codec", "WebSocketCodec", "TLSEngine", "FlowModel",
                "FlowArchive",
                "FlowFilter", "FlowPrinter", "Redaction", nioCore,
            ],
            path: "Benchmarks/MicroBenchmarks", swiftSettings: settings),
        // tests
        .target(
            name: "TestSupport", dependencies: ["HTTPSemantics", "FlowModel", nioCore], path: "Tests/TestSupport",
            swiftSettings: settings),
        tests("ArrowStreamTests", ["ArrowStream", "HTTPSemantics"]),
        tests("DigestsTests", ["Digests"]),
        tests("AgeFormatTests", ["AgeFormat", "Ciphers", "Digests"]),
        tests("ContentLimitTests", ["ContentLimit", "Digests", "FlowModel", "HTTPSemantics"]),
        tests("HTTP1CodecTests", ["HTTP1Codec", "HTTPSemantics"]),
        tests("WebSocketCodecTests", ["WebSocketCodec", "HTTPSemantics"]),
        tests("HTTP2CodecTests", ["HTTP2Codec", "HTTPSemantics"]),
        tests("TLSEngineTests", ["TLSEngine"]),
        tests("ContentCodingTests", ["ContentCoding", "HTTPSemantics"]),
        tests("JSONQueryTests", ["JSONQuery"]),
        tests("ProtobufTests", ["Protobuf", "HTTPSemantics"]),
        tests("SecretsTests", ["Secrets", "BenchmarkTraffic", "FlowFilter", "FlowModel", yams]),
        tests("ContentFormatsTests", ["ContentFormats", "HTTPSemantics"]),
        tests(
            "ProxyCoreTests",
            ["ProxyCore", "HTTPSemantics", "FlowModel", "FlowRecords", "TLSEngine", "WebSocketCodec", "HTTP2Codec"]),
        tests("ProxyTransportTests", ["ProxyTransport", "ProxyCore", "FlowModel", "FlowRecords", "TLSEngine", nioPosix]),
        tests(
            "FlowArchiveTests",
            [
                "FlowArchive", "AgeFormat", "FlowFilter", "FlowModel", "FlowPrinter", "FlowRecords", "ForeignArchives",
                "HTTPSemantics",
            ]),
        tests("FlowFileTests", ["FlowFile"]),
        tests("EndToEndTests", []),
        tests("HTTPSemanticsTests", ["HTTPSemantics"]),
        tests("FlowRecordsTests", ["FlowRecords", "FlowModel", "HTTPSemantics"]),
        tests("FlowModelTests", ["FlowModel", "HTTPSemantics"]),
        tests("FlowPrinterTests", ["ContentLimit", "FlowPrinter", "FlowModel", "Protobuf", "HTTPSemantics"]),
        tests("FlowTableTests", ["ArrowStream", "FlowTable", "FlowArchive", "FlowModel", "FlowPrinter", "HTTPSemantics"]),
        tests("ForeignArchivesTests", ["ContentLimit", "ForeignArchives", "FlowModel", "FlowPrinter", "HTTPSemantics"]),
        tests(
            "FlowRecordingTests",
            ["FlowRecording", "AgeFormat", "FlowArchive", "FlowFilter", "FlowModel", "FlowRecords", "HTTPSemantics"]),
        tests(
            "ToolSupportTests",
            [
                "ContentLimit", "ToolSupport", "ProxyToolSupport", "ProxyCore", "ProxyTransport", "FlowArchive", "FlowFilter",
                "FlowModel",
                "FlowTable",
                "HTTPSemantics", "Redaction", "TLSEngine", arguments,
            ]),
        tests(
            "FlowReplayTests",
            ["ContentLimit", "FlowReplay", "FlowModel", "HTTPSemantics", "FlowArchive", "Redaction", "Secrets", "Digests"]),
        tests(
            "RedactionTests", ["Redaction", "Secrets", "FlowModel", "HTTPSemantics", "JSONQuery", "CZlib", "CBrotli", "CZstd"]),
        tests("FlowFilterTests", ["FlowFilter", "FlowModel", "Protobuf", "Secrets", "HTTPSemantics"]),
        tests("FlowViewTests", ["FlowView", "FlowArchive", "FlowFilter", "FlowModel", "FlowTable", "HTTPSemantics"]),
        tests(
            "ViewServerTests",
            [
                "ViewServer", "ContentCoding", "FlowView", "FlowArchive", "FlowFilter", "FlowModel", "HTTPSemantics", "JSONQuery",
                "ToolSupport", nioPosix, .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
    ]
)
