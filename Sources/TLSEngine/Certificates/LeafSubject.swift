// The subject of a leaf: the names in the upstream certificate, and the requested name. The upstream certificate is not trusted: it is read
// with limits, and names that a certificate of ours cannot contain are skipped.

import COpenSSL
import NIOCore

struct LeafSubject: Equatable {
    var names: [NetworkName] = []
    var commonName: String?
    var organization: String?

    // Real certificates name up to a few hundred; with these, ours stays far below OpenSSL's limit of 100 KiB for a chain.
    static let maximumNames = 512
    // RFC 5280 appendix A: ub-common-name and ub-organization-name.
    private static let maximumSubjectLength = 64

    init(_ request: LeafRequest) {
        let asked = NetworkName(host: request.serverName)
        if let upstream = request.upstream.flatMap({ X509Certificate(der: $0) }) {
            names = LeafSubject.alternativeNames(of: upstream, maximum: LeafSubject.maximumNames - 1)
            commonName = LeafSubject.subjectField(NID_commonName, of: upstream)
            organization = LeafSubject.subjectField(NID_organizationName, of: upstream)
        }
        if let asked, !names.contains(asked) { names.append(asked) }
        if commonName == nil, let asked, let text = asked.text, text.utf8.count <= LeafSubject.maximumSubjectLength {
            commonName = text
        }
    }

    /// DNS names and addresses, without repetition, in their order. Other kinds do not name a server.
    private static func alternativeNames(of certificate: X509Certificate, maximum: Int) -> [NetworkName] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let read = unsafe X509_get_ext_d2i(certificate.pointer, NID_subject_alt_name, nil, nil)
        guard let read = unsafe read else { return [] }
        let list = OpaquePointer(read)
        defer { unsafe GENERAL_NAMES_free(list) }
        var found: [NetworkName] = []
        var seen: Set<NetworkName> = []
        let count = unsafe mitm_sk_GENERAL_NAME_num(list)
        for index in 0..<count where found.count < maximum {
            guard let element = unsafe mitm_sk_GENERAL_NAME_value(list, index) else { continue }
            var type: Int32 = 0
            let value = unsafe GENERAL_NAME_get0_value(element, &type)
            guard type == GEN_DNS || type == GEN_IPADD, let value = unsafe value else { continue }
            let string = unsafe value.assumingMemoryBound(to: ASN1_STRING.self)
            let bytes = unsafe Array(
                UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
            guard let name = name(bytes, isAddress: type == GEN_IPADD), seen.insert(name).inserted else { continue }
            found.append(name)
        }
        return found
    }

    private static func name(_ bytes: [UInt8], isAddress: Bool) -> NetworkName? {
        if isAddress { return bytes.count == 4 || bytes.count == 16 ? .address(bytes) : nil }
        // A dNSName is ASCII. One that looks like an address would be read as an address, so it is not copied.
        guard bytes.allSatisfy({ $0 < 0x80 }), case .dns(let name)? = NetworkName(host: String(decoding: bytes, as: UTF8.self))
        else {
            return nil
        }
        return .dns(name)
    }

    /// The last field of this kind in the subject, if it is short enough and contains no control characters.
    private static func subjectField(_ field: Int32, of certificate: X509Certificate) -> String? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let subject = unsafe X509_get_subject_name(certificate.pointer)
        var index: Int32 = -1
        while case let next = unsafe X509_NAME_get_index_by_NID(subject, field, index), next >= 0 { index = next }
        guard index >= 0, let entry = unsafe X509_NAME_get_entry(subject, index) else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry))
        guard count >= 0 else { return nil }
        defer { unsafe CRYPTO_free(bytes, nil, 0) }
        guard (1...maximumSubjectLength).contains(Int(count)) else { return nil }
        let text = unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
        return text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } ? text : nil
    }
}
