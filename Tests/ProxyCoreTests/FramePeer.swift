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
    /// What it was told, a line each.
    private(set) var heard: [String] = []
    /// Bytes of content for which the windows were not opened again.
    private var unconsumed = 0

    /// - Parameter announces: a server takes extended CONNECT.
    init(_ role: HTTP2Connection.Role, on handle: ConnectionHandle, of play: Playbook, announces: Bool = true) {
        frames = HTTP2Connection(role, enablesConnectProtocol: role == .server && announces)
        self.play = play
        self.handle = handle
    }

    /// Sends what it has to say, and hears what comes back until nothing does.
    /// - Returns: what the session asked for beside sending here.
    @discardableResult
    func exchange(sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        var lines: [String] = []
        hear()
        while let bytes = frames.takeOutput() {
            let turn = play.deliver(.received(handle, bytes), sourceLocation: sourceLocation)
            lines += turn.filter { !$0.hasPrefix("send \(handle)") }
            hear()
        }
        return play.hold(lines, at: sourceLocation)
    }

    /// Hears what was sent to it.
    func hear() {
        let bytes = play.takeSent(handle)
        if bytes.readableBytes > 0 { frames.receive(bytes) }
        while let event = frames.next() {
            switch event {
            case .request(_, .head(let head, _, let isLast)):
                var pseudo: [String] = []
                FieldSection.forEachLine(in: head.wire) { name, value in
                    pseudo.append(String(buffer: head.wire.slice(name)) + "=" + String(buffer: head.wire.slice(value)))
                }
                heard.append(pseudo.joined(separator: " "))
                if isLast { heard.append("end") }
            case .response(_, .interim(let head)):
                heard.append(line(head))
            case .response(_, .head(let head, _, let isLast)):
                heard.append(line(head))
                if isLast { heard.append("end") }
            case .request(_, .content(let content, _, let isLast)), .response(_, .content(let content, _, let isLast)):
                unconsumed += content.readableBytes
                heard.append(frameNames(content, from: frames.role == .client ? .server : .client))
                if isLast { heard.append("end") }
            case .request(_, .end), .response(_, .end): heard.append("end")
            case .reset(_, let code): heard.append("reset \(code)")
            case .failed(_, let code, let message, _, _): heard.append("failed \(code) \(message)")
            case .terminated(let code, let message): heard.append("terminated \(code) \(message)")
            case .goAway: heard.append("goaway")
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

    func takeHeard() -> [String] {
        hear()
        defer { heard = [] }
        return heard
    }
}

/// Frames by opcode and payload; bytes that are none as text.
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
