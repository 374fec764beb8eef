// A response of which only the beginning of the encoded content was stored (`--body-limit`): it is served decoded, because clients fail at
// a coding that ends early.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

extension Flow {
    /// The flow with a response that clients can decode.
    /// - Throws: if content cannot be read.
    package func decodingCutResponse() throws -> Flow {
        guard let response, response.isCut, response.storedSize > 0, response.storedSize <= FlowComparison.maximumContent,
            !response.storedCodings.isEmpty, !hasSwitched
        else { return self }
        let decoded = decodeContent(
            try pieces.content(from: .server), codings: response.storedCodings, maximum: FlowComparison.maximumContent)
        guard decoded.isDecoded else { return self }
        var flow = self
        var kept = PiecesInMemory()
        var isWritten = false
        try pieces.forEach { at, piece in
            if piece.from == .server, piece.kind == .data {
                if !isWritten { kept.pieces.append((at, FlowPiece(from: .server, content: decoded.content))) }
                isWritten = true
            } else {
                kept.pieces.append((at, piece))
            }
            return true
        }
        flow.pieces = kept
        flow.response?.storedSize = UInt64(decoded.content.readableBytes)
        flow.response?.isStoredDecoded = true
        return flow
    }
}
