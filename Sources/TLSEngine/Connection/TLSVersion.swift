// The versions of TLS that can be set as a minimum or maximum.

import COpenSSL

package enum TLSVersion: UInt16, Sendable, Comparable, CaseIterable {
    case tls10 = 0x0301
    case tls11 = 0x0302
    case tls12 = 0x0303
    case tls13 = 0x0304

    /// Reads `1.2`, `TLS1.2` or `TLSv1.2`, in any case; nil for anything else.
    package init?(_ text: String) {
        var rest = text.lowercased()[...]
        for prefix in ["tls", "v"] where rest.hasPrefix(prefix) { rest = rest.dropFirst(prefix.count) }
        switch rest {
        case "1.0": self = .tls10
        case "1.1": self = .tls11
        case "1.2": self = .tls12
        case "1.3": self = .tls13
        default: return nil
        }
    }

    package static func < (a: TLSVersion, b: TLSVersion) -> Bool { a.rawValue < b.rawValue }
}

/// `name/version` of the library, as it is at run time.
package var openSSLLibrary: String { unsafe "OpenSSL/\(String(cString: OpenSSL_version(OPENSSL_VERSION_STRING)))" }
