// ~proto[1.2] VALUE: a field of the protobuf messages of a flow, by the numbers of fields, or by names where the types are known.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

struct ProtobufFieldTest: Sendable {
    /// As it is written between the brackets.
    let text: String
    let path: ProtobufPath
    let value: ValueTest
    /// The types of messages; nil without any.
    let schema: ProtobufSchema?

    /// Decoded content beyond this is not searched.
    private static let maximumContent = 64 * 1024 * 1024

    /// Whether a value at the place passes, in a message of the request or of the response.
    /// - Throws: what fetching content throws; a match that takes too many steps.
    func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard flow.kind == .http else { return false }
        return try matches(flow, .client) || matches(flow, .server)
    }

    private func matches(_ flow: some FlowAttributes, _ side: Side) throws -> Bool {
        guard let fields = side == .client ? flow.requestFields : flow.responseFields, let type = fields.first("content-type"),
            let media = ProtobufMedia(contentType: type), !media.isJSON
        else { return false }
        let wire = try flow.pieces.content(from: side, maximum: Self.maximumContent)
        let decoded = decodeContent(
            wire, codings: flow.storedCodings(from: side, declaredBy: fields), maximum: Self.maximumContent)
        guard wire.readableBytes > 0, decoded.isDecoded else {
            try flow.noteSearched(wire, from: side, maximum: Self.maximumContent)
            return false
        }
        let call = flow.requestTarget.flatMap { RPCMessage(target: $0, from: side) }
        let found = schema?.type(named: media.messageType, of: call)
        var isFound = false
        try forEachMessage(in: decoded.content, media, fields) { message in
            _ = try path.forEachValue(in: message, found?.type, found?.types ?? ProtobufTypes()) { found in
                isFound = try accepts(found, schema)
                return !isFound
            }
            return !isFound
        }
        if !isFound { try flow.noteSearched(wire, from: side, maximum: Self.maximumContent) }
        return isFound
    }

    /// Visits messages, decompressed. What is not a message ends the visit.
    /// - Parameter visit: returns false to stop.
    private func forEachMessage(
        in content: ByteBuffer, _ media: ProtobufMedia, _ fields: FieldSection, _ visit: (ByteBuffer) throws -> Bool
    ) throws {
        guard media.isFramed else {
            guard media.framing == .delimited || (!ProtobufReader.isMessage(content) && DelimitedMessages.fits(content)) else {
                _ = try visit(content)
                return
            }
            var messages = DelimitedMessages(content)
            while let message = try? messages.next(), try visit(message) {}
            return
        }
        var frames = RPCFrameReader(content, media: media)
        var room = Self.maximumContent
        let coding = (fields.first("grpc-encoding") ?? fields.first("connect-content-encoding")).map { [$0] } ?? []
        while let frame = try? frames.next() {
            guard !frame.isEnd else { continue }
            var message = frame.content
            if frame.isCompressed {
                let decoded = decodeContent(message, codings: coding, maximum: room)
                guard decoded.isDecoded else { continue }
                message = decoded.content
                room -= message.readableBytes
            }
            guard try visit(message) else { return }
        }
    }

    private func accepts(_ found: ProtobufValue, _ schema: ProtobufSchema?) throws -> Bool {
        switch found {
        case .int32(let number): try accepts("\(number)", Double(number))
        case .int64(let number): try accepts("\(number)", Double(number))
        case .uint32(let number): try accepts("\(number)", Double(number))
        case .uint64(let number): try accepts("\(number)", Double(number))
        case .float(let number): try accepts("\(number)", Double(number))
        case .double(let number): try accepts("\(number)", number)
        case .bool(let flag): try value.accepts(ByteBuffer(string: "\(flag)"))
        case .string(let text), .bytes(let text): try value.accepts(text)
        case .enumeration(let number, let type):
            if let name = schema?.types.enumeration(type)?[number], try value.accepts(ByteBuffer(string: name)) {
                true
            } else {
                try accepts("\(number)", Double(number))
            }
        case .message: try value.accepts(ByteBuffer())
        }
    }

    /// Numbers are compared as numbers: `=1` and `=1.0` are the same.
    private func accepts(_ text: String, _ number: Double) throws -> Bool {
        if case .equals(_, number: let expected?) = value { return number == expected }
        return try value.accepts(ByteBuffer(string: text))
    }
}
