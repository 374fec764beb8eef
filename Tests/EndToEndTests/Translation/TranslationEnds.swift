// The four ends of a translation: client and origin, in HTTP/1.1 and in HTTP/2.

import Foundation

extension Translation {
    private static let patience = Duration.seconds(30)

    /// Larger than the content that is cut, so that the end of it is not its end.
    private func head(_ start: String, _ fields: [HTTP2Field], _ content: Content, _ trailers: [HTTP2Field]) -> String {
        var lines = [start] + (fields + Self.length(of: content)).map(\.description)
        if case .pieces = content { lines.append("transfer-encoding: chunked") }
        if !trailers.isEmpty { lines.append("trailer: " + trailers.map(\.name).joined(separator: ", ")) }
        return (lines + ["", ""]).joined(separator: "\r\n")
    }

    /// - Parameter ends: false when the sender gives up.
    private func send(_ content: Content, _ trailers: [HTTP2Field], ends: Bool, on connection: RawConnection) {
        switch content {
        case .none: break
        case .known(let octets): connection.send(bytes: octets)
        case .pieces(let pieces):
            for piece in pieces {
                connection.send("\(String(piece.count, radix: 16))\r\n")
                connection.send(bytes: piece)
                connection.send("\r\n")
            }
            if ends { connection.send((["0"] + trailers.map(\.description) + ["", ""]).joined(separator: "\r\n")) }
        }
    }

    private func send(_ content: Content, _ trailers: [HTTP2Field], ends: Bool, on stream: UInt32, of endpoint: HTTP2Endpoint) {
        let pieces: [[UInt8]] =
            switch content {
            case .none: []
            case .known(let octets): [octets]
            case .pieces(let pieces): pieces
            }
        for (index, piece) in pieces.enumerated() {
            let isLast = index == pieces.count - 1 && trailers.isEmpty && ends
            endpoint.send(piece, on: stream, end: isLast, limit: Self.patience)
        }
        if !trailers.isEmpty { endpoint.send(HTTP2Frame.section(stream, HPACK.block(trailers), end: true)) }
    }

    // MARK: Client

    func askOverOne(port: Int, _ notes: TranslationNotes) throws -> (PlainMessage, HTTP1Endpoint.Framing) {
        let client = HTTP1Endpoint(try RawConnection(port: port))
        client.connection.send(
            head("\(method) / HTTP/1.1", [Self.field("host", "a.example")] + fields, content, trailers))
        send(content, trailers, ends: cut != .client, on: client.connection)
        if cut == .client {
            _ = notes.arrived.take(Self.patience)
            client.connection.resetOnClose()
            return (response, .none)
        }
        var interims: [String] = []
        while let head = client.readHead(Self.patience) {
            if head.start.hasPrefix("1") {
                interims.append(PlainMessage.interim([Self.field(":status", head.start)] + head.fields))
                continue
            }
            var message = client.readRest(of: head, hasContent: method != "HEAD") { notesArrival(of: $0, notes) }
            message.interims = interims
            return (message, client.framing)
        }
        throw TestFailure("no response")
    }

    func askOverTwo(port: Int, _ notes: TranslationNotes) throws -> PlainMessage {
        let client = try HTTP2Endpoint.client(port: port, settings: [HTTP2Setting.initialWindowSize: 1 << 20])
        client.send(.windowUpdate(0, 1 << 24))
        let pseudo = [(":method", method), (":scheme", "http"), (":authority", "a.example"), (":path", "/")].map {
            Self.field($0, $1)
        }
        let hasMore = content.size > 0 || !trailers.isEmpty
        client.send(HTTP2Frame.section(1, HPACK.block(pseudo + fields + Self.length(of: content)), end: !hasMore))
        if hasMore { send(content, trailers, ends: cut != .client, on: 1, of: client) }
        if cut == .client {
            _ = notes.arrived.take(Self.patience)
            client.send(.reset(1))
            return response
        }
        if cut == .origin {
            client.wait(Self.patience) { client.streams[1]?.body.size == responseContent.size }
            notes.arrived.put(true)
        }
        client.wait(Self.patience) { client.streams[1]?.isOver == true }
        guard let stream = client.streams[1] else { throw TestFailure("no response") }
        return PlainMessage(stream)
    }

    private func notesArrival(of body: HTTP2Body, _ notes: TranslationNotes) {
        if cut == .origin, body.size == responseContent.size { notes.arrived.put(true) }
    }

    // MARK: Origin

    func originOfOne(_ notes: TranslationNotes) throws -> RawOrigin {
        try RawOrigin { connection, _ in
            let origin = HTTP1Endpoint(connection)
            guard let head = origin.readHead(Self.patience) else { return }
            let message = origin.readRest(of: head) {
                if cut == .client, $0.size == content.size { notes.arrived.put(true) }
            }
            notes.request.put(message)
            notes.requestFraming.put(origin.framing)
            if cut == .client { return }
            for interim in interims {
                connection.send(self.head("HTTP/1.1 \(interim.status) Early Hints", interim.fields, .none, []))
            }
            connection.send(self.head("HTTP/1.1 \(status) As It Is", responseFields, responseContent, responseTrailers))
            send(responseContent, responseTrailers, ends: cut != .origin, on: connection)
            if cut == .origin {
                _ = notes.arrived.take(Self.patience)
                return
            }
            // Open until the recorder closes it, so that an end is not taken for a cause.
            _ = origin.readHead(Self.patience)
        }
    }

    func originOfTwo(_ notes: TranslationNotes) throws -> HTTP2Origin {
        try HTTP2Origin { endpoint in
            endpoint.send(.settings([HTTP2Setting.initialWindowSize: 1 << 20]), .windowUpdate(0, 1 << 24))
            guard endpoint.wait(Self.patience, until: { !endpoint.opened.isEmpty }) else { return }
            let stream = endpoint.opened[0]
            if cut == .client {
                endpoint.wait(Self.patience) { endpoint.streams[stream]?.body.size == content.size }
                notes.arrived.put(true)
            }
            endpoint.wait(Self.patience) { endpoint.streams[stream]?.isOver == true }
            if let request = endpoint.streams[stream] { notes.request.put(PlainMessage(request)) }
            if cut == .client { return }
            answer(endpoint, stream)
            if cut == .origin {
                _ = notes.arrived.take(Self.patience)
                endpoint.send(.reset(stream, .internalError))
            }
            while !endpoint.isClosed, endpoint.read(before: .now + Self.patience) {}
        }
    }

    private func answer(_ endpoint: HTTP2Endpoint, _ stream: UInt32) {
        for interim in interims {
            let block = HPACK.block([Self.field(":status", "\(interim.status)")] + interim.fields)
            endpoint.send(HTTP2Frame.section(stream, block, end: false))
        }
        let hasMore = responseContent.size > 0 || !responseTrailers.isEmpty
        let head = [Self.field(":status", "\(status)")] + responseFields + Self.length(of: responseContent)
        endpoint.send(HTTP2Frame.section(stream, HPACK.block(head), end: !hasMore))
        if hasMore { send(responseContent, responseTrailers, ends: cut != .origin, on: stream, of: endpoint) }
    }
}

extension HTTP2Frame {
    /// A section of fields in as many frames as it takes.
    static func section(_ stream: UInt32, _ block: [UInt8], end: Bool) -> [HTTP2Frame] {
        let size = 16384
        var frames = [headers(stream, block: Array(block.prefix(size)), end: end, endHeaders: block.count <= size)]
        for start in stride(from: size, to: block.count, by: size) {
            let piece = Array(block[start..<min(block.count, start + size)])
            frames.append(continuation(stream, block: piece, endHeaders: start + size >= block.count))
        }
        return frames
    }
}
