// One message of protobuf, or several after their lengths.

import NIOCore
import Protobuf

/// The fields of messages: by their names where the type is known, otherwise by their numbers and wire types.
struct ProtobufView: ContentView {
    static let name = "protobuf"
    static let help = "application/protobuf, application/proto: fields by name (--proto), or by wire type"

    private let content: ByteBuffer
    private let type: MessageType?
    private let types: ProtobufTypes
    private let isDelimited: Bool

    static func fit(_ content: ViewedContent) -> ContentFit? {
        guard let media = content.protobufMedia(checked: true), !media.isFramed else { return nil }
        return .type
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content.bytes
        let media = content.protobufMedia(checked: false)
        (type, types) = content.protobufType(media)
        isDelimited = media?.framing == .delimited || content.bytes.isDelimitedMessages
        // Content of another type, for which the view was named, begins with a field at least.
        guard media == nil, !isDelimited else { return }
        var reader = ProtobufReader(content.bytes)
        do throws(ProtobufError) {
            _ = try reader.next()
        } catch {
            throw ContentMismatch("it does not begin with a field of protobuf")
        }
    }

    var title: String? { isDelimited ? nil : type?.name }

    func write(into lines: inout CountedLines) {
        lines.writeProtobuf(types) { text in
            if isDelimited { text.write(delimited: content, as: type) } else { text.write(message: content, as: type) }
        }
    }
}

extension ViewedContent {
    /// What kind of protobuf the media type names.
    /// - Parameter checked: content with a wrong media type is left to other views, such as an error page in text, from something between
    ///   client and server.
    func protobufMedia(checked: Bool) -> ProtobufMedia? {
        guard let type, let media = ProtobufMedia(contentType: type) else { return nil }
        return checked ? media.checked(by: bytes) : media
    }

    /// The type of the messages, and all types that are known.
    func protobufType(_ media: ProtobufMedia?) -> (MessageType?, ProtobufTypes) {
        let call = origin.flatMap { origin in origin.target.flatMap { RPCMessage(target: $0, from: origin.side) } }
        let found = schema.type(named: media?.messageType, of: call)
        return (found?.type, found?.types ?? schema.types)
    }
}

extension ProtobufMedia {
    /// - Returns: nil if the content is text, and none of such a type.
    func checked(by content: ByteBuffer) -> ProtobufMedia? {
        guard ViewedContent.isText(content), !isBase64 else { return self }
        return framing == .message && ProtobufReader.isMessage(content) ? self : nil
    }
}

extension ByteBuffer {
    /// Messages after their lengths, and not one message.
    var isDelimitedMessages: Bool { !ProtobufReader.isMessage(self) && DelimitedMessages.fits(self) }
}
