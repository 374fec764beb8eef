import FlowFilter
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import Protobuf
import TestSupport
import Testing

private func frame(_ content: [UInt8], flags: UInt8 = 0) -> ByteBuffer {
    ByteBuffer(bytes: [flags, 0, 0, 0, UInt8(content.count)] + content)
}

/// A call whose response has one message.
private func call(
    _ target: String, type: String, _ content: ByteBuffer, status: String? = nil, isTrailer: Bool = true
) -> Flow {
    let time = Timestamp(nanoseconds: 1_760_000_000_000_000_000)
    let client = ClientConnection(
        id: FlowID(high: 1, low: 1), peer: Endpoint(host: "10.1.2.3", port: 4000), local: Endpoint(host: "127.0.0.1", port: 8080),
        opened: time, mode: "regular")
    let head = status.map { isTrailer ? "" : "grpc-status: \($0)\r\n" } ?? ""
    var flow = FlowBuilder(
        id: FlowID(high: 2, low: 2), at: time, client: Shared(client), target: FlowTarget(scheme: "https", host: "a", port: 443)
    )
    .request("POST \(target) HTTP/1.1\r\nHost: a\r\n\r\n", content: ByteBuffer())
    .response("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n\(head)\r\n", content: content)
    if let status, isTrailer { flow = flow.event(.trailers(from: .server, FieldSection([(name: "grpc-status", value: status)]))) }
    return flow.ended(FlowEnding(state: .complete)).flow
}

/// In this order in the tables below: i, w, c, p, j.
private let flows: [(String, Flow)] = [
    // name: "a", count: 2, colours: [COLOUR_RED, 77]
    ("i", call("/shop.v1.Shop/Buy", type: "application/grpc", frame([0x0A, 1, 0x61, 0x10, 2, 0x2A, 2, 1, 77]), status: "0")),
    (
        "w",
        call(
            "/S/M", type: "application/grpc-web",
            ByteBuffer(
                bytes: Array(frame([0x0A, 1, 0x62]).readableBytesView)
                    + frame(Array("grpc-status:14\r\n".utf8), flags: 0x80).readableBytesView))
    ),
    ("c", call("/S/M", type: "application/connect+proto", frame([0x0D, 0, 0, 0xC0, 0x3F]))),
    // scalars: { an_int32: -1 }
    (
        "p",
        call(
            "/x", type: "application/x-protobuf; messageType=shop.v1.Item",
            ByteBuffer(bytes: [0x42, 11, 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]))
    ),
    ("j", call("/S/M", type: "application/grpc+json", frame(Array("{}".utf8)), status: "7", isTrailer: false)),
]

@Suite("Filters for protobuf and gRPC")
struct ProtobufFilterTests {
    private func matching(_ expression: String, _ schema: ProtobufSchema?) throws -> String {
        var environment = FilterEnvironment()
        environment.schema = schema
        let filter = try FlowFilter(expression, environment: environment)
        #expect(try FlowFilter(filter.canonical, environment: environment).canonical == filter.canonical)
        return try flows.filter { try filter.matches($0.1) }.map(\.0).joined()
    }

    @Test(
        "Fields are found by their numbers",
        arguments: [
            ("~proto[1]", "iwc"), ("~proto[1] =a", "i"), ("~proto[1] ^[ab]$", "iw"), ("~proto[2] >1", "i"), ("~proto[2] =2.0", "i"),
            ("~proto[1] =1.5", "c"), ("~proto[1] >1", "c"), ("~proto[8.3]", "p"), ("~proto[8.3] <0", ""), ("~proto[8]", "p"),
            ("~proto[9]", ""), ("!~proto[1]", "pj"),
        ])
    func numbers(expression: String, expected: String) throws { #expect(try matching(expression, nil) == expected) }

    @Test(
        "Fields are found by their names where the type is known",
        arguments: [
            ("~proto[name] =a", "i"), ("~proto[colours] =COLOUR_RED", "i"), ("~proto[colours] =77", "i"), ("~proto[5] >50", "i"),
            ("~proto[scalars.an_int32] =-1", "p"), ("~proto[scalars.anInt32] <0", "p"), ("~proto[8.3] <0", "p"),
        ])
    func names(expression: String, expected: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/protobuf/shop.pb")
        var types = ProtobufTypes()
        try types.add(descriptorSet: ByteBuffer(bytes: try Data(contentsOf: file)))
        #expect(try matching(expression, ProtobufSchema(types)) == expected)
    }

    @Test(
        "Calls are found by their status",
        arguments: [
            ("~grpc OK", "i"), ("~grpc 0", "i"), ("~grpc unavailable", "w"), ("~grpc >0", "wj"), ("~grpc 5-10", "j"),
            ("~grpc PERMISSION_DENIED", "j"), ("!~grpc 0", "wcpj"),
        ])
    func status(expression: String, expected: String) throws { #expect(try matching(expression, nil) == expected) }

    @Test(
        "What is not a place or a status is refused",
        arguments: ["~proto[]", "~proto[1..2]", "~proto[a-b]", "~proto 1", "~grpc", "~grpc GONE"])
    func refused(expression: String) { #expect(throws: FilterSyntaxError.self) { try FlowFilter(expression) } }

    @Test("The names that an expression uses are known before it is evaluated")
    func fieldNames() throws {
        #expect(try Set(FlowFilter("~proto[user.1.name] | !(~proto[id] & ~all)").fieldNames) == ["user", "name", "id"])
    }
}
