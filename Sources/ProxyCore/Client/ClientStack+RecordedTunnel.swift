// A tunnel whose server is a recording.

import FlowModel
import NIOCore
import WebSocketCodec

extension ClientStack {
    /// Sends what the recording has next: data of TCP, or the messages after an upgrade.
    func resumeTunnel() {
        guard case .tunnel(let tunnel) = layer, let recorded = tunnel.recorded else { return }
        recorded.waiting = .client
        var budget = Self.maximumContentAtOnce
        while case .tunnel = layer, client.isWritable {
            guard budget > 0 else {
                recorded.waiting = .moment(now)
                return
            }
            switch step(of: recorded.player) {
            case .say(.piece(let piece)):
                lastActivity = now
                budget -= piece.content.readableBytes
                tunnelReceived(tunnel.isWebSocket ? RecordedServer.frame(piece) : piece.content, from: .server, at: now)
            case .say(.finished):
                tunnelEnded(.server)
            case .say:
                break
            case .wait(let moment):
                recorded.waiting = .moment(moment)
                return
            case .waitForClient:
                return answerCloseFrame()
            case .end(let ending):
                return endRecordedTunnel(ending)
            }
        }
    }

    /// A client of WebSocket that closes where the recording has something else gets its answer (RFC 6455 §5.5.1).
    private func answerCloseFrame() {
        guard case .tunnel(let tunnel) = layer, let closeFrame = tunnel.recorded?.closeFrame, tunnel.isWebSocket, !tunnel.isClosed
        else {
            return
        }
        tunnelReceived(WebSocketFrameEncoder.frame(.close, closeFrame, maskingKey: nil), from: .server, at: now)
        endRecordedTunnel(FlowEnding(state: .complete))
    }

    private func endRecordedTunnel(_ ending: FlowEnding) {
        guard case .tunnel(let tunnel) = layer else { return }
        let isComplete = tunnel.isEnded || tunnel.isClosed || ending.state == .complete
        var said = isComplete ? FlowEnding(state: .complete) : ending
        said.closedBy = tunnel.closedBy ?? .server
        end(tunnel, said)
        layer = .lingering
        closeClient(isComplete ? .clean : ending.isReset ? .reset : .truncated)
    }

    /// Delivers a client's message to the recording.
    func deliver(_ piece: FlowPiece) {
        guard piece.from == .client, case .tunnel(let tunnel) = layer, let recorded = tunnel.recorded else { return }
        recorded.receive(piece, at: now)
        if piece.kind == .ping {
            let pong = WebSocketFrameEncoder.frame(.pong, piece.content, maskingKey: nil)
            tunnelReceived(pong, from: .server, at: now)
        }
    }

    /// The recording of the stream that the client asked for begins with data of the server.
    func serverSpeaksFirst(isTLS: Bool) -> Bool {
        guard let responder = configuration.responder, let route, route.isTunnel, suspendedTunnel == nil else { return false }
        return responder.speaksFirst(on: FlowTarget(scheme: isTLS ? "tls" : "tcp", route.destination.endpoint))
    }

    /// Finds the recording for a TCP stream.
    func startRecordedStream(_ target: FlowTarget) {
        guard case .tunnel(let tunnel) = layer else { return }
        guard let player = configuration.responder?.stream(to: target, at: now) else {
            let message = "no recording holds a TCP stream"
            log(.warning, "miss", "\(clientFacts.value.peer): \(target.host):\(target.port): \(message)")
            end(tunnel, FlowEnding(state: .failed, error: FlowError(side: nil, message: message, at: now)))
            layer = .lingering
            return closeClient(.reset)
        }
        tunnel.play(RecordedStream(player))
        tunnelIsOpen()
    }
}
