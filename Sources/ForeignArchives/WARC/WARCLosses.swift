// What WARC cannot represent.

extension WARCWriter {
    package static func fate(of loss: LossClass) -> LossFate {
        switch loss {
        case .tcp, .tls, .noRequest, .connect, .noURL: .leftOut
        case .interim, .largeContent, .damagedContent, .upgradeData, .malformed, .localReply, .error, .comment, .tags, .notes,
            .trailers, .webSocket, .pingPong, .closeFrames:
            .lost
        case .chunkTimes, .frames, .streamID, .settings, .clientAddress, .mode, .tlsNames, .certificates, .fingerprints,
            .verification, .errorSide, .closing, .passthrough, .redaction, .messageTimes:
            .lost
        case .http2AsHTTP1, .http3, .contentLength, .missingContent, .connectionID, .target, .tlsVersion: .changed
        case .headContent, .argumentLength, .separator, .noMessage, .headBytes, .fields, .contentCoding, .fileContent,
            .incomplete, .serverAddress, .flowID:
            .kept
        }
    }
}
