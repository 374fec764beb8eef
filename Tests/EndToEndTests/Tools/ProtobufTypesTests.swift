// Types of protobuf messages: from the recording itself, from descriptor sets and from .proto files.

import Foundation
import TestSupport
import Testing

@Suite("Types of protobuf messages")
struct ProtobufTypesTests {
    private let fixtures = repository + "/Fixtures/protobuf"

    @Test("A recorded session of gRPC is shown with the descriptors that its server sent")
    func reflection() throws {
        try withTemporaryDirectory { directory in
            let server = try RunningProgram(
                python, [peerScript("grpc_shop_peer.py"), "server", fixtures + "/shop.pb"], in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            server.collectErrors()
            let port = try #require(line.split(separator: " ").compactMap { Int($0) }.first)
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(port)"], in: directory)
            recorder.program.collectErrors()
            let client = try run(python, [peerScript("grpc_shop_peer.py"), "client", "127.0.0.1:\(recorder.port)"], in: directory)
            #expect(client.output == "Shop: tea 7, ['order 0', 'order 1'], INVALID_ARGUMENT\n", "\(client.errors)")
            #expect(recorder.stop() == 0)

            let shown = try run("mitm-dump", ["--detail", "3", "capture.mflow", "~u /Buy"], in: directory)
            #expect(shown.status == 0)
            for expected in [
                ", shop.v1.Order\n      id: \"o1\"\n      items {\n        name: \"tea\"\n        number: 5\n      }\n",
                ", shop.v1.Item\n      name: \"tea\"\n      count: 7\n      colours: COLOUR_RED\n      colours: 77\n",
                "      [type.googleapis.com/google.rpc.BadRequest] {\n        field_violations {\n          field: \"items\"\n",
            ] {
                #expect(shown.output.contains(expected), "\(shown.output)")
            }
            let watched = try recorder.flows(arguments: ["~u /Watch"])
            #expect(watched.count == 1)
            #expect(watched.first?["response.grpc.name"] == "OK")
            let counts = try [
                "~proto[items.name] =tea", "~proto[2.1] =tea", "~proto[count] >6", "~proto[colours] =COLOUR_RED",
                "~grpc INVALID_ARGUMENT",
                "~grpc 0 & ~u shop", "~proto[id] ^order",
            ].map { try run("mitm-filter", ["--count", $0, "capture.mflow"], in: directory).output }
            #expect(counts == ["1\n", "1\n", "2\n", "2\n", "1\n", "2\n", "1\n"])
            let unknown = try run("mitm-filter", ["--count", "~proto[avenue]", "capture.mflow"], in: directory)
            #expect(unknown.status == 2)
            #expect(unknown.errors.contains("no known message has a field 'avenue'"))
        }
    }

    /// An archive of an exchange whose response is `name: "a"` of `shop.v1.Item`.
    private func archive(in directory: String) throws {
        let har = """
            {"log":{"version":"1.2","creator":{"name":"t","version":"1"},"entries":[{"startedDateTime":"2026-01-01T00:00:00Z","time":1,
            "request":{"method":"GET","url":"http://a/i","httpVersion":"HTTP/1.1","headers":[],"queryString":[],"cookies":[],"headersSize":-1,
            "bodySize":0},"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","headers":[{"name":"Content-Type",
            "value":"application/x-protobuf; messageType=shop.v1.Item"}],"cookies":[],"content":{"size":3,"mimeType":"application/x-protobuf",
            "text":"CgFh","encoding":"base64"},"redirectURL":"","headersSize":-1,"bodySize":3},"cache":{},"timings":{"send":0,"wait":1,
            "receive":0}}]}}
            """
        try har.write(toFile: directory + "/a.har", atomically: true, encoding: .utf8)
    }

    @Test("--proto takes a descriptor set, a .proto file, and a directory of them")
    func options() throws {
        try withTemporaryDirectory { directory in
            try archive(in: directory)
            try FileManager.default.createDirectory(atPath: directory + "/types/below", withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: fixtures + "/shop.pb", toPath: directory + "/types/below/shop.desc")
            try FileManager.default.copyItem(atPath: fixtures + "/shop.proto", toPath: directory + "/shop.proto")
            for argument in ["shop.proto", "types", fixtures + "/shop.pb"] {
                let shown = try run("mitm-dump", ["--detail", "3", "--proto", argument, "a.har"], in: directory)
                #expect(shown.status == 0, "\(shown.errors)")
                #expect(shown.output.contains("\n    shop.v1.Item\n    name: \"a\"\n"), "\(shown.output)")
            }
            let chosen = try run("mitm-filter", ["--json", "--proto", "types", "~proto[name] =a", "a.har"], in: directory)
            #expect(chosen.output.contains(#""message_type":"shop.v1.Item","message":{"name":"a"}"#))
            let plain = try run("mitm-dump", ["--detail", "3", "a.har"], in: directory)
            #expect(plain.output.contains("\n    1: len 1 \"a\"\n"))
        }
    }

    @Test("What cannot be used as types is an error in one sentence")
    func mistakes() throws {
        try withTemporaryDirectory { directory in
            try archive(in: directory)
            try "message X {".write(toFile: directory + "/broken.proto", atomically: true, encoding: .utf8)
            try FileManager.default.createDirectory(atPath: directory + "/empty", withIntermediateDirectories: true)
            func error(_ program: String, _ arguments: [String]) throws -> String {
                let result = try run(program, arguments, in: directory)
                #expect(result.status == 2)
                return result.errors
            }
            #expect(
                try error("mitm-dump", ["--proto", "a.har", "a.har"])
                    == "mitm-dump: a.har is not a descriptor set of protobuf; make one with protoc --include_imports --descriptor_set_out=FILE\n"
            )
            #expect(
                try error("mitm-dump", ["--proto", "none.pb", "a.har"])
                    == "mitm-dump: cannot read the file of --proto none.pb: no such file or directory\n")
            #expect(
                try error("mitm-dump", ["--proto", "empty", "a.har"])
                    == "mitm-dump: there is no descriptor set and no .proto file in the directory empty\n")
            #expect(
                try error("mitm-filter", ["--proto", "broken.proto", "~all", "a.har"])
                    .hasPrefix("mitm-filter: protoc cannot compile the files of --proto: broken.proto:1:"))
            #expect(
                try error("env", ["PATH=/nowhere", toolDirectory + "/mitm-dump", "--proto", "broken.proto", "a.har"])
                    == "mitm-dump: broken.proto needs protoc, which is not installed (Debian: protobuf-compiler); or give --proto a descriptor set\n"
            )
        }
    }
}
