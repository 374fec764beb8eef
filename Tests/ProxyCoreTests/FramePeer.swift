// A peer that speaks HTTP/2 with a session under test.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing
import WebSocketCodec

@testable import ProxyCore

/// A peer of the recorder that speaks HTTP/2, on one of the connections of a playbook.
final class FramePeer {
    let frames: HTTP2Connection
    private let play: Playbook
    private let handle: ConnectionHandle
    /// What it received, a line each.
    private(set) var received: [String] = []
    /// Content that was received and not taken.
    private var content: [StreamID: ByteBuffer] = [:]
    /// Bytes of content for which the windows were not opened again.
    private var unconsumed = 0

    /// - Parameter announces: a server accepts extended CONNECT.
    init(_ role: HTTP2Connection.Role, on handle: ConnectionHandle, of play: Playbook, announces: Bool = true) {
        frames = HTTP2Connection(role, enablesConnectProtocol: role == .server && announces)
        self.play = play
        self.handle = handle
    }

    /// Sends its frames and receives the answers until there are no more.
    /// - Returns: what the session asked for besides sending to this peer.
    @discardableResult
    func exchange(sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        var lines: [String] = []
        receive()
        while let bytes = frames.takeOutput() {
            let turn = play.deliver(.received(handle, bytes), sourceLocation: sourceLocation)
            lines += turn.filter { !$0.hasPrefix("send \(handle)") }
            receive()
        }
        return play.hold(lines, at: sourceLocation)
    }

    /// Receives what was sent to it.
    func receive() {
        let bytes = play.takeSent(handle)
        if bytes.readableBytes > 0 { frames.receive(bytes) }
        while let event = frames.next() {
            switch event {
            case .request(_, .head(let head, _, let isLast)):
                var pseudo: [String] = []
                FieldSection.forEachLine(in: head.wire) { name, value in
                    pseudo.append(String(buffer: head.wire.slice(name)) + "=" + String(buffer: head.wire.slice(value)))
                }
                received.append(pseudo.joined(separator: " "))
                if isLast { received.append("end") }
            case .response(_, .interim(let head)):
                received.append(line(head))
            case .response(_, .head(let head, _, let isLast)):
                received.append(line(head))
                if isLast { received.append("end") }
            case .request(let stream, .content(let bytes, _, let isLast)),
                .response(let stream, .content(let bytes, _, let isLast)):
                unconsumed += bytes.readableBytes
                content[stream, default: ByteBuffer()].writeImmutableBuffer(bytes)
                received.append(frameNames(bytes, from: frames.role == .client ? .server : .client))
                if isLast { received.append("end") }
            case .request(_, .end), .response(_, .end): received.append("end")
            case .reset(_, let code): received.append("reset \(code)")
            case .failed(_, let code, let message, _, _): received.append("failed \(code) \(message)")
            case .terminated(let code, let message): received.append("terminated \(code) \(message)")
            case .goAway: received.append("goaway")
            default: break
            }
        }
    }

    private func line(_ head: ResponseHead) -> String {
        (["\(head.status)"] + head.fields.pairs.map { "\($0.name)=\($0.value)" }).joined(separator: " ")
    }

    /// Opens the windows for what has come.
    func consume(on stream: StreamID) {
        frames.consumed(unconsumed, on: stream)
        unconsumed = 0
    }

    func takeReceived() -> [String] {
        receive()
        defer { received = [] }
        return received
    }

    /// The content that was received on a stream since it was taken last.
    func takeContent(on stream: StreamID) -> ByteBuffer {
        receive()
        return content.removeValue(forKey: stream) ?? ByteBuffer()
    }
}

/// Frames by opcode and payload; bytes that are no frames as text.
func frameNames(_ bytes: ByteBuffer, from side: Side) -> String {
    var decoder = WebSocketFrameDecoder(from: side)
    decoder.receive(bytes)
    var names: [String] = []
    do throws(WebSocketError) {
        while let part = try decoder.next() {
            let isClose = part.header.opcode == .close
            names.append("\(part.header.opcode)" + (isClose ? "" : " " + String(buffer: part.payload)))
        }
    } catch {
        return String(buffer: bytes)
    }
    return names.joined(separator: ", ")
}

extension HTTP2Fields {
    init(_ fields: [(String, String)]) {
        self.init()
        for (name, value) in fields { append(ByteBuffer(string: name), ByteBuffer(string: value)) }
    }
}
