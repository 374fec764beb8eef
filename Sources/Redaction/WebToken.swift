// JSON Web Tokens (RFC 7519) in compact form: three parts in Base64 for URLs with points between them. The parameters of the header that
// describe the signature, and the names of the claims, help to understand a recording; all else is hidden.

import ContentFormats
import HTTPSemantics
import JSONQuery
import NIOCore

struct WebToken {
    private let header: ByteBuffer
    private let claims: ByteBuffer
    /// As it is in the token.
    private let signature: ByteBuffer
    private let value: ByteBuffer

    /// Parameters of the header that keep their values (RFC 7515 section 4.1).
    private static let keptParameters: [JSONString] = ["alg", "typ", "cty", "enc", "zip"]

    /// - Returns: nil if the value is not a token.
    init?(_ value: ByteBuffer) {
        // `eyJ` is `{"` in Base64; most values end here.
        guard value.readableBytes > 8, value.byte(at: 0) == 0x65, value.byte(at: 1) == 0x79 else { return nil }
        let parts = value.readableBytesView.split(separator: 0x2E, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decode(ByteBuffer(parts[0]), .url),
            let claims = Base64.decode(ByteBuffer(parts[1]), .url), JSONTree(parsing: header)?.isObject == true,
            JSONTree(parsing: claims)?.isObject == true
        else { return nil }
        (self.header, self.claims, signature, self.value) = (header, claims, ByteBuffer(parts[2]), value)
    }

    /// It was hidden before.
    var isHidden: Bool { RedactionMarker.isMarker(signature) && hidden(signature: signature) == value }

    /// The token with hidden values.
    func hidden(signature: ByteBuffer) -> ByteBuffer {
        var token = Self.encoded(Self.masked(header, keeping: Self.keptParameters))
        token.writeInteger(UInt8(ascii: "."))
        token.writeImmutableBuffer(Self.encoded(Self.masked(claims, keeping: [])))
        token.writeInteger(UInt8(ascii: "."))
        token.writeImmutableBuffer(signature)
        return token
    }

    private static func masked(_ object: ByteBuffer, keeping names: [JSONString]) -> ByteBuffer {
        guard case .object(var members)? = JSONTree(parsing: object) else { return object }
        for index in members.indices where !names.contains(members[index].name) {
            members[index].value = .string(JSONString(bytes: RedactionMarker.mask))
        }
        var out = ByteBuffer()
        JSONTree.object(members).write(into: &out)
        return out
    }

    private static func encoded(_ bytes: ByteBuffer) -> ByteBuffer {
        let standard = Base64.encode(bytes).utf8.prefix { $0 != UInt8(ascii: "=") }
        return ByteBuffer(bytes: standard.map { $0 == UInt8(ascii: "+") ? 0x2D : $0 == UInt8(ascii: "/") ? 0x5F : $0 })
    }
}
