// Descriptors that a recording holds: the answers of servers to clients that asked for them (grpc/doc/server-reflection.md).

import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

/// Selects the calls of server reflection.
package struct ReflectionCalls: FlowPredicate {
    package init() {}

    package func matches(_ flow: some FlowAttributes) -> Bool { flow.isReflectionCall }

    package func mayMatch(_ block: some BlockSummary) -> Bool {
        block.mayContain(.http) && block.methodNames?.contains { $0.equalsIgnoringCase("post") } ?? true
    }
}

extension FlowAttributes {
    /// A client asks a server for its descriptors.
    package var isReflectionCall: Bool {
        guard kind == .http, let target = requestTarget, target.readableBytes < 100 else { return false }
        return target.slice(ByteRange(0, min(17, target.readableBytes))).equalsIgnoringCase("/grpc.reflection.")
            && RPCMessage(target: target, from: .server)?.isReflection == true
    }
}

extension Flow {
    /// The file descriptors that a server answered with.
    /// - Throws: errors of fetching content, unless it is damaged.
    package func recordedDescriptors() throws -> [ByteBuffer] {
        guard isReflectionCall, let response, let type = response.head.fields.first("content-type"),
            let media = ProtobufMedia(contentType: type), media.isFramed, !media.isJSON
        else { return [] }
        let body = try FlowBody(self, .server, size: response.size)
        var messages = GRPCMessageReader(body.decoded.content, media: media, coding: response.head.fields.messageCoding)
        var found: [ByteBuffer] = []
        while let message = try? messages.next() {
            if !message.frame.isEnd { found += fileDescriptors(inReflectionResponse: message.decoded.content) }
        }
        return found
    }
}

extension FieldSection {
    /// The coding of single messages, for gRPC or for a stream of Connect.
    var messageCoding: ByteBuffer? { first("grpc-encoding") ?? first("connect-content-encoding") }
}
