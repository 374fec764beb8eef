// What mitmproxy's format cannot represent.

extension MitmproxyWriter {
    package static func fate(of loss: LossClass) -> LossFate {
        switch loss {
        case .tls, .noRequest: .leftOut
        case .interim, .largeContent, .damagedContent, .pingPong, .malformed, .missingContent, .localReply, .tags,
            .notes:
            .lost
        case .chunkTimes, .frames, .streamID, .settings, .fingerprints, .verification, .errorSide, .closing, .passthrough,
            .redaction:
            .lost
        case .headBytes, .contentLength, .messageTimes, .mode: .changed
        case .tcp, .connect, .noURL, .headContent, .argumentLength, .separator, .noMessage, .http2AsHTTP1, .http3, .fields,
            .trailers, .contentCoding, .fileContent, .incomplete, .webSocket, .closeFrames, .upgradeData, .error, .comment, .flowID,
            .target,
            .connectionID, .clientAddress, .serverAddress, .tlsVersion, .tlsNames, .certificates:
            .kept
        }
    }
}
