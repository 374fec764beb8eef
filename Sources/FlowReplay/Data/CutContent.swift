// Content of which a recording has only the beginning (`--body-limit`, `--only-metadata`), where it is served, sent again or compared. Its
// size and its SHA-256 stand for it.

import Digests
import FlowModel
import HTTPSemantics
import NIOCore

extension ContentCut {
    /// Whether content is the one that was cut, as far as size and digest tell.
    func isOf(_ content: ByteBuffer) -> Bool {
        guard size == UInt64(content.readableBytes) else { return false }
        return sha256.readableBytes == 0 || sha256 == ByteBuffer(bytes: Digest.of(content, by: .sha256))
    }

    /// The cut that content would have.
    init(of content: ByteBuffer) {
        self.init(size: UInt64(content.readableBytes), sha256: ByteBuffer(bytes: Digest.of(content, by: .sha256)))
    }
}

extension Flow {
    /// Why the server's side of the flow cannot be sent again: the recording does not have all of it. nil if it has.
    package var cutAnswer: String? {
        if let cut = cut(of: .server) {
            guard let stored = response?.storedSize else {
                return "the recording does not have all \(cut.size) bytes of the server's data"
            }
            return stored == 0
                ? "the recording does not have the \(cut.size) bytes of the response's content"
                : "the recording has only the first \(stored) of the \(cut.size) bytes of the response's content"
        }
        guard isWebSocket, (try? pieces.sizes())?.server.isCut == true else { return nil }
        return "a message of the server is not whole in the recording"
    }
}
