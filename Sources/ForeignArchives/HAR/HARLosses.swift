// What HAR cannot represent.

extension HARWriter {
    package static func fate(of loss: LossClass) -> LossFate {
        switch loss {
        case .tcp, .tls, .noRequest, .noURL: .leftOut
        case .interim, .largeContent, .damagedContent, .upgradeData, .malformed, .tags: .lost
        case .chunkTimes, .frames, .streamID, .settings, .clientAddress, .mode, .tlsVersion, .tlsNames, .certificates,
            .fingerprints, .verification, .errorSide, .closing, .passthrough, .redaction:
            .lost
        case .headBytes, .contentLength, .contentCoding, .missingContent, .connectionID, .messageTimes, .target: .changed
        case .connect, .headContent, .argumentLength, .separator, .noMessage, .http2AsHTTP1, .http3, .fields, .trailers,
            .fileContent, .incomplete, .webSocket, .pingPong, .closeFrames, .localReply, .error, .comment,
            .notes, .flowID, .serverAddress:
            .kept
        }
    }
}
