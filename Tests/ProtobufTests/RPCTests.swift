import HTTPSemantics
import NIOCore
import Testing

@testable import Protobuf

@Suite("Content of remote procedure calls")
struct RPCTests {
    @Test(
        "The media type decides about the frames",
        arguments: [
            ("application/grpc", ProtobufMedia.Framing.grpc, false, false),
            ("Application/gRPC+Proto; charset=x", .grpc, false, false),
            ("application/grpc+json", .grpc, true, false), ("application/grpc-web+proto", .grpcWeb, false, false),
            ("application/grpc-web-text", .grpcWeb, false, true), ("application/connect+json", .connect, true, false),
            ("application/connect+proto", .connect, false, false), ("application/proto", .message, false, false),
            ("application/x-protobuf; encoding=delimited", .delimited, false, false),
        ])
    func media(type: String, framing: ProtobufMedia.Framing, isJSON: Bool, isBase64: Bool) throws {
        let media = try #require(ProtobufMedia(contentType: ByteBuffer(string: type)))
        #expect(media.framing == framing)
        #expect(media.isJSON == isJSON)
        #expect(media.isBase64 == isBase64)
        #expect(media.messageType == nil)
    }

    @Test("Parameters name the type of the message")
    func parameters() {
        let type = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        let media = ProtobufMedia(contentType: ByteBuffer(string: type))
        #expect(media?.messageType == "io.prometheus.client.MetricFamily")
        #expect(media?.framing == .delimited)
        #expect(ProtobufMedia(contentType: ByteBuffer(string: "application/x-protobuf;messageType=\"a.B\""))?.messageType == "a.B")
        #expect(ProtobufMedia(contentType: ByteBuffer(string: "application/grpc+thrift")) == nil)
    }

    @Test(
        "The end of the path is the method",
        arguments: [
            ("/a.b.C/D", "a.b.C/D"), ("/twirp/a.b.C/D?x=/y", "a.b.C/D"), ("https://h/a.C/D", "a.C/D"), ("/D", nil), ("", nil),
            ("/a/", nil),
        ])
    func method(target: String, method: String?) {
        #expect(RPCMessage(target: ByteBuffer(string: target), from: .client)?.method == method)
    }

    @Test("Base64 of gRPC-Web may be padded in several places")
    func text() throws {
        let media = try #require(ProtobufMedia(contentType: ByteBuffer(string: "application/grpc-web-text")))
        let content = "AAAAAAMIlgE=" + "gAAAAA9ncnBjLXN0YXR1czowDQo="
        var frames = RPCFrameReader(ByteBuffer(string: content), media: media)
        let first = try #require(try frames.next())
        #expect(first == RPCFrame(size: 3, isCompressed: false, isEnd: false, content: bytes("089601")))
        let last = try #require(try frames.next())
        #expect(last.isEnd && !last.isTruncated)
        #expect(String(buffer: last.content) == "grpc-status:0\r\n")
        var broken = RPCFrameReader(ByteBuffer(string: "AAAA*"), media: media)
        #expect(throws: RPCFramingError.notBase64) { try broken.next() }
    }

    @Test(
        "A status has a number and a name",
        arguments: [("0", 0, "OK"), ("14", 14, "UNAVAILABLE"), ("17", 17, "17"), ("x", nil, "x")])
    func status(value: String, code: Int?, name: String) {
        let status = GRPCStatus(ByteBuffer(string: value))
        #expect(status.code == code)
        #expect(status.name == name)
    }

    @Test("Messages of gRPC have percent signs for other characters")
    func percent() {
        #expect(String(buffer: ByteBuffer(string: "100%25 %C3%BC%2").percentDecoded) == "100% ü%2")
    }

    @Test("Types of a recording are searched once, when a type is not known")
    func recorded() throws {
        let set = try fixture("legacy.pb")
        var reader = ProtobufReader(set)
        guard case .lengthDelimited(let file)? = try reader.next()?.value else { return #expect(Bool(false)) }
        let schema = ProtobufSchema { [file, ByteBuffer(string: "damaged")] }
        #expect(schema.types.message("legacy.Old") == nil)
        #expect(schema.type(named: "google.rpc.Status", of: nil)?.type.name == "google.rpc.Status")
        #expect(schema.types.message("legacy.Old") == nil)
        #expect(schema.type(named: "legacy.Old", of: nil)?.type.name == "legacy.Old")
        #expect(schema.type(named: "legacy.None", of: nil) == nil)
    }

    @Test("Descriptors are taken out of a reflection server's answer")
    func reflection() {
        #expect(fileDescriptors(inReflectionResponse: bytes("0a0161 2206 0a0162 0a0163 22")) == [bytes("62"), bytes("63")])
    }
}
