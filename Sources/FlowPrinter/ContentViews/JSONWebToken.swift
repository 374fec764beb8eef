// JSON Web Tokens (RFC 7519): the header and the claims, with times as dates. A signature is never verified: the key is not in the recording.

import ContentFormats
import FlowModel
import HTTPSemantics
import NIOCore

/// The parts of a token that can be read.
struct JSONWebToken {
    let header: ByteBuffer
    /// nil for an encrypted token (RFC 7516), which has five parts.
    let claims: ByteBuffer?

    /// - Parameter text: `header.claims.signature`, in Base64 of the URL alphabet.
    /// - Returns: nil if it is not a token, or longer than one can be.
    init?(_ text: ByteBuffer) {
        guard text.readableBytes <= 64 * 1024, text.has("ey", at: 0) else { return nil }
        let parts = text.readableBytesView.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 5, let header = Self.decoded(parts[0]), Self.isObject(header) else { return nil }
        self.header = header
        if parts.count == 5 {
            claims = nil
        } else {
            guard let claims = Self.decoded(parts[1]) else { return nil }
            self.claims = claims
        }
    }

    private static func decoded(_ part: ByteBufferView) -> ByteBuffer? { Base64.decode(ByteBuffer(part), .url) }

    private static func isObject(_ bytes: ByteBuffer) -> Bool {
        bytes.readableBytesView.first == UInt8(ascii: "{") && bytes.readableBytesView.last == UInt8(ascii: "}")
            && String(validating: bytes.readableBytesView, as: UTF8.self) != nil
    }
}

extension JSONWebToken {
    /// A claim that is a time (RFC 7519 section 4.1).
    struct Time: Equatable {
        enum Claim: String, CaseIterable {
            case issued = "iat"
            case notBefore = "nbf"
            case expires = "exp"
        }

        let claim: Claim
        let time: Timestamp

        /// `expires 2026-11-27T08:00:00Z`.
        var text: String {
            let date = rfc3339(time).prefix { $0 != "." } + "Z"
            return switch claim {
            case .issued: "issued \(date)"
            case .notBefore: "not valid before \(date)"
            case .expires: "expires \(date)"
            }
        }

        /// The time compared with another one: `expires 2026-11-27T08:00:00Z (2 h later)`.
        func text(comparedWith moment: Timestamp) -> String {
            let difference = time - moment
            return "\(text) (\(Self.readable(abs(difference))) \(difference < 0 ? "earlier" : "later"))"
        }

        /// `3 d`, `2 h`, `5 min`, `12 s`.
        private static func readable(_ nanoseconds: Int64) -> String {
            let seconds = nanoseconds / 1_000_000_000
            switch seconds {
            case 172_800...: return "\(seconds / 86_400) d"
            case 7200...: return "\(seconds / 3600) h"
            case 120...: return "\(seconds / 60) min"
            default: return "\(seconds) s"
            }
        }
    }

    /// The claims that are times, in the order of the enumeration.
    var times: [Time] {
        guard let claims, let members = JSONTokens.members(of: claims) else { return [] }
        return Time.Claim.allCases.compactMap { claim in
            guard let member = members.last(where: { $0.name.text == claim.rawValue }) else { return nil }
            // Some tokens have fractions of a second.
            let digits = String(buffer: member.value).prefix { $0 != "." }
            // Nanoseconds since 1970 reach to the year 2262.
            guard let seconds = Int64(digits), abs(seconds) < Int64.max / 1_000_000_000 else { return nil }
            return Time(claim: claim, time: Timestamp(nanoseconds: seconds * 1_000_000_000))
        }
    }
}

/// A token that is content.
struct JSONWebTokenView: ContentView {
    static let name = "jwt"
    static let help = "a JSON Web Token: header and claims, times as dates; no signature is verified"

    private let token: JSONWebToken
    private let content: ViewedContent

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if content.media == "application/jwt" || content.media.hasSuffix("+jwt") { return .type }
        return content.bytes.has("eyJ", at: 0) ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard let token = JSONWebToken(content.bytes.trimmed()) else { throw ContentMismatch("it is not a JSON Web Token") }
        (self.token, self.content) = (token, content)
    }

    func write(into lines: inout CountedLines) {
        let type = ByteBuffer(string: "application/json")
        content.inner(token.header, type: type).write(into: &lines)
        guard let claims = token.claims else { return lines.remark("encrypted") }
        content.inner(claims, type: type).write(into: &lines)
        for time in token.times { lines.remark(time.text) }
        lines.remark("signature not verified")
    }
}
