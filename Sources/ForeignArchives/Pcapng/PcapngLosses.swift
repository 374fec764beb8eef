// What packets cannot represent.

import FlowModel
import HTTPSemantics

extension PcapngWriter {
    package static func fate(of loss: LossClass) -> LossFate {
        switch loss {
        case .tls, .noMessage: .leftOut
        case .http2AsHTTP1, .http3, .contentLength, .fields: .changed
        case .missingContent, .damagedContent, .error, .comment, .tags, .notes, .frames, .target, .serverAddress, .mode,
            .tlsVersion,
            .tlsNames, .certificates, .fingerprints, .verification, .errorSide, .passthrough, .redaction:
            .lost
        case .tcp, .noRequest, .connect, .noURL, .headContent, .argumentLength, .separator, .headBytes, .interim, .trailers,
            .contentCoding, .largeContent, .fileContent, .incomplete, .webSocket, .pingPong, .closeFrames, .upgradeData, .malformed,
            .localReply, .flowID, .chunkTimes, .messageTimes, .streamID, .settings, .connectionID, .clientAddress, .closing:
            .kept
        }
    }

    /// What the connections that are written change.
    static func changes(of flow: Flow, on sides: [Side]) -> [LossClass: Int] {
        var found: [LossClass: Int] = [:]
        found[.http2AsHTTP1] = sides.reduce(0) { $0 + flow.translatedHeads(on: $1) }
        if flow.isWebSocket {
            let heads = [flow.request?.head.fields, flow.response?.head.fields].compactMap { $0 }
            found[.fields] = heads.contains { $0.contains("sec-websocket-extensions") } ? 1 : 0
        }
        if sides.contains(.server) { found[.serverAddress] = 0 }
        return found
    }
}

extension Flow {
    /// Heads that are written in the version of a connection that is not their own.
    fileprivate func translatedHeads(on connection: Side) -> Int {
        let isHTTP2 =
            switch form(on: connection) {
            case .http1: isUpgradedToHTTP2(on: connection) ? nil : false
            case .http2: true
            case .stream: nil as Bool?
            }
        guard let isHTTP2 else { return 0 }
        return [request?.head.version, response?.head.version].count { $0.map { ($0.major >= 2) != isHTTP2 } ?? false }
    }
}
