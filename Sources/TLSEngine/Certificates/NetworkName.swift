// A server's name in TLS: a DNS name in its A-label form (RFC 5890) or an IP address. Certificates and the server name extension contain
// nothing else.

import Glibc

enum NetworkName: Hashable {
    /// Lower case, ASCII, without a trailing dot; may begin with `*.` in a certificate.
    case dns(String)
    /// 4 or 16 bytes in network order.
    case address([UInt8])

    /// Reads a host as people and clients write it: any case, a trailing dot, brackets around IPv6, letters beyond ASCII.
    /// nil if no certificate could contain it.
    init?(host: String) {
        if let address = NetworkName.parseAddress(host) {
            self = .address(address)
            return
        }
        // RFC 6066 §3: the name is sent without a trailing dot.
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        var labels: [String] = []
        for label in name.lowercased().split(separator: ".", omittingEmptySubsequences: false) {
            guard let ascii = Punycode.label(String(label)), (1...63).contains(ascii.utf8.count) else { return nil }
            labels.append(ascii)
        }
        let joined = labels.joined(separator: ".")
        // RFC 1035 §2.3.4: at most 253 characters in this form. Underscores do occur; blanks, controls and quotes must not.
        guard joined.utf8.count <= 253, joined.utf8.allSatisfy(NetworkName.isNameCharacter) else { return nil }
        self = .dns(joined)
    }

    /// The name, or the address in its usual text form.
    var text: String? {
        switch self {
        case .dns(let name): return name
        case .address(let bytes):
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            let written = unsafe bytes.withUnsafeBytes { bytes in
                unsafe inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes.baseAddress, &text, socklen_t(text.count))
            }
            guard unsafe written != nil else { return nil }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "*"): true
        default: false
        }
    }

    /// The bytes of an IP literal, in the forms that inet_pton(3) accepts; brackets around IPv6 are allowed.
    private static func parseAddress(_ host: String) -> [UInt8]? {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard !bare.utf8.contains(0) else { return nil }
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            let result = unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(family, bare, $0.baseAddress) }
            if result == 1 { return bytes }
        }
        return nil
    }
}

/// Punycode (RFC 3492): letters beyond ASCII in a label of a DNS name.
enum Punycode {
    /// The A-label of one label in lower case: unchanged if it is ASCII; nil if it cannot be encoded.
    static func label(_ label: String) -> String? {
        let scalars = Array(label.unicodeScalars)
        guard scalars.contains(where: { !$0.isASCII }) else { return label }
        guard scalars.count <= 63 else { return nil }
        return encode(scalars).map { "xn--" + $0 }
    }

    // RFC 3492 §6.3, with the parameters of §5.
    private static func encode(_ scalars: [Unicode.Scalar]) -> String? {
        var output = String(String.UnicodeScalarView(scalars.filter(\.isASCII)))
        let basicCount = output.utf8.count
        if basicCount > 0 { output += "-" }
        var handled = basicCount
        var threshold: UInt32 = 0x80
        var delta: UInt32 = 0
        var bias: UInt32 = 72
        while handled < scalars.count {
            guard let next = scalars.lazy.map(\.value).filter({ $0 >= threshold }).min() else { return nil }
            // No overflow: at most 63 scalars below 0x110000.
            delta += (next - threshold) * UInt32(handled + 1)
            threshold = next
            for scalar in scalars {
                if scalar.value < threshold { delta += 1 }
                guard scalar.value == threshold else { continue }
                appendNumber(delta, bias: bias, to: &output)
                bias = adapt(delta, count: UInt32(handled + 1), isFirst: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            threshold += 1
        }
        return output
    }

    /// A generalised variable-length integer, §3.3.
    private static func appendNumber(_ number: UInt32, bias: UInt32, to output: inout String) {
        var rest = number
        var position: UInt32 = 36
        while true {
            let digitThreshold = position <= bias ? 1 : min(26, position - bias)
            guard rest >= digitThreshold else { break }
            output.unicodeScalars.append(digit(digitThreshold + (rest - digitThreshold) % (36 - digitThreshold)))
            rest = (rest - digitThreshold) / (36 - digitThreshold)
            position += 36
        }
        output.unicodeScalars.append(digit(rest))
    }

    private static func digit(_ value: UInt32) -> Unicode.Scalar {
        Unicode.Scalar(UInt8(value < 26 ? value + 0x61 : value - 26 + 0x30))
    }

    /// §6.1
    private static func adapt(_ delta: UInt32, count: UInt32, isFirst: Bool) -> UInt32 {
        var rest = isFirst ? delta / 700 : delta / 2
        rest += rest / count
        var bias: UInt32 = 0
        while rest > 35 * 26 / 2 {
            rest /= 35
            bias += 36
        }
        return bias + 36 * rest / (rest + 38)
    }
}
