import FlowModel
import TLSEngine

extension TLSDetails {
    /// Takes over what TLS has agreed on.
    mutating func update(from facts: TLSFacts) {
        version = facts.version
        cipher = facts.cipher
        alpn = facts.alpn
        isResumed = facts.isResumed
        certificates = facts.peerCertificates
    }
}
