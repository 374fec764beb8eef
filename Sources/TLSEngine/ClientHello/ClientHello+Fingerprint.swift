// Fingerprints of a ClientHello in two common forms, JA3 and JA4. Both omit GREASE (RFC 8701), the values that clients insert at random.

import COpenSSL

extension ClientHello {
    /// JA3: the MD5 digest, in hex, of ``ja3Text``.
    package var ja3: String { unsafe Digest.hex(ja3Text, EVP_md5()) }

    /// The text whose digest is JA3: version, cipher suites, extensions, groups and point formats in their order, in decimal.
    package var ja3Text: String {
        func joined<T: FixedWidthInteger>(_ values: [T]) -> String { values.map { String($0) }.joined(separator: "-") }
        return [
            String(legacyVersion), joined(withoutGrease(cipherSuites)), joined(withoutGrease(extensions)),
            joined(withoutGrease(supportedGroups)), joined(ecPointFormats),
        ].joined(separator: ",")
    }

    /// JA4 (TLS over TCP), for example `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    package var ja4: String {
        let suites = withoutGrease(cipherSuites)
        let types = withoutGrease(extensions)
        let head =
            "t\(ja4Version)\(extensions.contains(0) ? "d" : "i")\(twoDigits(suites.count))\(twoDigits(types.count))\(ja4ALPN)"
        // The third part omits the server name and ALPN, so that it is the same for every server.
        let sorted = hexList(types.filter { $0 != 0 && $0 != 16 }.sorted())
        let signatures = hexList(withoutGrease(signatureAlgorithms))
        let third = types.isEmpty ? "" : signatures.isEmpty ? sorted : "\(sorted)_\(signatures)"
        return "\(head)_\(shortDigest(hexList(suites.sorted())))_\(shortDigest(third))"
    }

    private var ja4Version: String {
        switch withoutGrease(supportedVersions).max() ?? legacyVersion {
        case 0x0304: "13"
        case 0x0303: "12"
        case 0x0302: "11"
        case 0x0301: "10"
        case 0x0300: "s3"
        case 0x0002: "s2"
        default: "00"
        }
    }

    /// The first and the last character of the first protocol; of its hex form if either is not a letter or digit.
    private var ja4ALPN: String {
        guard let first = firstALPN.first, let last = firstALPN.last else { return "00" }
        if isAlphanumeric(first), isAlphanumeric(last) { return String(decoding: [first, last], as: UTF8.self) }
        let digits = Array("0123456789abcdef")
        return String([digits[Int(first >> 4)], digits[Int(last & 15)]])
    }

    private func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }

    private func twoDigits(_ count: Int) -> String { count < 10 ? "0\(count)" : String(min(count, 99)) }

    private func hexList(_ values: [UInt16]) -> String {
        values.map { value in
            let hex = String(value, radix: 16)
            return String(repeating: "0", count: 4 - hex.utf8.count) + hex
        }.joined(separator: ",")
    }

    private func shortDigest(_ text: String) -> String {
        text.isEmpty ? "000000000000" : unsafe String(Digest.hex(text, EVP_sha256()).prefix(12))
    }

    /// RFC 8701 §2: both bytes are the same and end in ten.
    private func withoutGrease(_ values: [UInt16]) -> [UInt16] {
        values.filter { $0 & 0x0F0F != 0x0A0A || $0 >> 8 != $0 & 0xFF }
    }
}

private enum Digest {
    /// The digest of a text in lower-case hex. EVP_Digest(3)
    static func hex(_ text: String, _ type: OpaquePointer?) -> String {
        ERR_clear_error()
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: CUnsignedInt = 0
        guard unsafe EVP_Digest(bytes, bytes.count, &digest, &length, type, nil) == 1 else {
            // MD5 is refused where only approved digests are allowed. There is no fingerprint then.
            ERR_clear_error()
            return ""
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.prefix(Int(length)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
