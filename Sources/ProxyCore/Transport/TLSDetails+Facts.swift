import FlowModel
import TLSEngine

extension TLSDetails {
    /// Copies the facts of the TLS handshake.
    mutating func update(from facts: TLSFacts) {
        version = facts.version
        cipher = facts.cipher
        alpn = facts.alpn
        isResumed = facts.isResumed
        certificates = facts.peerCertificates
    }
}
