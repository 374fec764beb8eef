// Header and trailer fields: values by the name of the field, cookies, URLs. A value of Authorization keeps its scheme.

import Glibc
import HTTPSemantics
import NIOCore

extension Redactor {
    /// Hides values in a field section.
    /// - Parameter edits: of a text that has ``FieldSection/wire`` at the offset of the edits.
    func edit(_ fields: FieldSection, _ edits: inout Edits, _ tally: inout Tally) {
        let named = rules.headers.bits & fields.names
        let hasCookies = readsCookies && (fields.contains("cookie") || fields.contains("set-cookie"))
        let wire = fields.wire
        let hasURLs = rules.changesURLs && (wire.mayContainURL || fields.contains("location") || fields.contains("referer"))
        // Most heads end here.
        guard named != 0 || hasCookies || hasURLs else { return }
        let start = edits.offset
        defer { edits.offset = start }
        let span = wire.readableBytesUInt8Span
        for index in fields.lines.indices {
            let line = fields.lines[index]
            var isDropped = false
            edits.offset = start + Int(line.value.start)
            if named != 0, let rule = rules.headers.rule(span.extracting(Int(line.name.start)..<Int(line.name.end))) {
                isDropped = method(of: rule) == .drop
                if isDropped { tally.add(rule) } else { edit(credentials: fields.slice(line.value), rule, &edits, &tally) }
            } else if hasCookies, wire.equalsIgnoringCase(line.name, "cookie") {
                isDropped = edit(cookies: fields.slice(line.value), &edits, &tally)
            } else if hasCookies, wire.equalsIgnoringCase(line.name, "set-cookie") {
                isDropped = edit(setCookie: fields.slice(line.value), &edits, &tally)
            } else if hasURLs {
                let isURL = Self.isURLField(line.name, wire)
                // Most lines end here.
                guard isURL || wire.mayContainURL(line.value) else { continue }
                let value = fields.slice(line.value)
                edit(urlsIn: value, isURL: isURL, &edits, &tally)
                if wire.equalsIgnoringCase(line.name, "host") { edit(authority: value, &edits, &tally) }
            }
            guard isDropped else { continue }
            let next = index + 1 < fields.lines.count ? Int(fields.lines[index + 1].name.start) : wire.readableBytes
            edits.offset = start
            edits.remove(Int(line.name.start)..<next)
        }
    }

    private var readsCookies: Bool { rules.allCookies != nil || !rules.cookies.isEmpty }

    /// Fields whose whole value is one URL, so that a comma or white space does not end it.
    private static func isURLField(_ name: ByteRange, _ wire: ByteBuffer) -> Bool {
        wire.equalsIgnoringCase(name, "location") || wire.equalsIgnoringCase(name, "referer")
            || wire.equalsIgnoringCase(name, "content-location") || wire.equalsIgnoringCase(name, "x-original-url")
            || wire.equalsIgnoringCase(name, "x-original-uri") || wire.equalsIgnoringCase(name, "x-rewrite-url")
            || wire.equalsIgnoringCase(name, "x-forwarded-uri") || wire.equalsIgnoringCase(name, "destination")
    }

    /// Hides the name and the password before the host of an authority.
    func edit(authority: ByteBuffer, _ edits: inout Edits, _ tally: inout Tally) {
        guard let at = authority.readableBytesView.lastIndex(of: 0x40) else { return }
        let end = at - authority.readableBytesView.startIndex
        if let hidden = userinfo(authority.slice(ByteRange(0, end)), &tally) { edits.replace(0..<end, with: hidden) }
    }

    // MARK: Credentials

    /// Schemes that stay in front of hidden credentials (RFC 9110 section 16.4.1 and its registry, and common ones that are not registered).
    private static let schemes: [StaticString] = [
        "basic", "bearer", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "oauth", "privatetoken",
        "scram-sha-1", "scram-sha-256", "vapid", "ntlm", "token", "apikey", "aws4-hmac-sha256", "sharedkey", "signature", "hawk",
        "jwt",
    ]

    /// Replaces a value. A known scheme before credentials stays.
    private func edit(credentials value: ByteBuffer, _ rule: Int, _ edits: inout Edits, _ tally: inout Tally) {
        let start = Self.schemeEnd(of: value)
        let credentials = value.slice(ByteRange(start, value.readableBytes))
        guard let hidden = hidden(Self.meaning(of: credentials, in: value), rule) else { return }
        edits.replace(start..<value.readableBytes, with: hidden)
        tally.add(rule)
    }

    /// The offset of the credentials; 0 without a known scheme.
    private static func schemeEnd(of value: ByteBuffer) -> Int {
        let span = value.readableBytesUInt8Span
        var space = 0
        while space < span.count, space < 24, span[space] != 0x20 { space += 1 }
        guard space < span.count, span[space] == 0x20 else { return 0 }
        let name = ByteRange(0, space)
        guard schemes.contains(where: { value.equalsIgnoringCase(name, $0) }) else { return 0 }
        while space < span.count, span[space] == 0x20 { space += 1 }
        return space
    }

    /// `name:password` of Basic (RFC 7617 section 2); other credentials as they are.
    private static func meaning(of credentials: ByteBuffer, in value: ByteBuffer) -> ByteBuffer {
        guard value.readableBytes > 6, value.equalsIgnoringCase(ByteRange(0, 6), "basic ") else { return credentials }
        return Base64.decode(credentials, .any) ?? credentials
    }

    // MARK: Cookies

    /// The rule for a cookie; nil without one.
    private func rule(ofCookie name: Span<UInt8>) -> Int? {
        rules.cookies.isEmpty ? rules.allCookies : rules.cookies.rule(name) ?? rules.allCookies
    }

    /// Cookie (RFC 6265 section 4.2.1): pairs with semicolons between them. A pair without `=` is a value without a name.
    /// - Returns: whether the field is to be removed, since all of its pairs are.
    private func edit(cookies value: ByteBuffer, _ edits: inout Edits, _ tally: inout Tally) -> Bool {
        var items = Removals(areMade: rules.drops)
        let span = value.readableBytesUInt8Span
        var start = 0
        while start < span.count {
            var end = start
            while end < span.count, span[end] != 0x3B { end += 1 }
            let pair = value.trimmedPair(start, end)
            items.add(pair)
            if hideCookie(value, pair, &edits, &tally) { items.drop() }
            start = end + 1
        }
        for removal in items.ranges { edits.remove(removal) }
        return items.isEverything
    }

    /// Set-Cookie (RFC 6265 section 4.1.1): the value is hidden, name and attributes stay.
    /// - Returns: whether the field is to be removed.
    private func edit(setCookie value: ByteBuffer, _ edits: inout Edits, _ tally: inout Tally) -> Bool {
        let span = value.readableBytesUInt8Span
        var end = 0
        while end < span.count, span[end] != 0x3B { end += 1 }
        return hideCookie(value, value.trimmedPair(0, end), &edits, &tally)
    }

    /// - Returns: whether the pair is to be removed.
    private func hideCookie(_ text: ByteBuffer, _ pair: Range<Int>, _ edits: inout Edits, _ tally: inout Tally) -> Bool {
        let span = text.readableBytesUInt8Span
        var equals = pair.lowerBound
        while equals < pair.upperBound, span[equals] != 0x3D { equals += 1 }
        let hasName = equals < pair.upperBound
        let name = hasName ? text.trimmedPair(pair.lowerBound, equals) : pair.lowerBound..<pair.lowerBound
        guard !pair.isEmpty, let rule = rule(ofCookie: span.extracting(name)) else { return false }
        if method(of: rule) == .drop {
            tally.add(rule)
            return true
        }
        var value = hasName ? text.trimmedPair(equals + 1, pair.upperBound) : pair
        if value.count >= 2, span[value.lowerBound] == 0x22, span[value.upperBound - 1] == 0x22 {
            value = value.lowerBound + 1..<value.upperBound - 1
        }
        guard let hidden = hidden(text.slice(ByteRange(value.lowerBound, value.upperBound)), rule) else { return false }
        edits.replace(value, with: hidden)
        tally.add(rule)
        return false
    }
}

extension ByteBuffer {
    /// A range without the spaces and tabs around it.
    fileprivate func trimmedPair(_ start: Int, _ end: Int) -> Range<Int> {
        let span = readableBytesUInt8Span
        var (start, end) = (start, end)
        while start < end, span[start].isWhitespaceOrLineEnd { start += 1 }
        while end > start, span[end - 1].isWhitespaceOrLineEnd { end -= 1 }
        return start..<end
    }

    /// Has a byte without which a text has neither parameters nor userinfo.
    var mayContainURL: Bool { mayContainURL(ByteRange(0, readableBytes)) }

    /// Whether a byte occurs in it.
    func contains(_ byte: UInt8) -> Bool {
        // SAFETY: memchr(3) reads the readable bytes.
        unsafe withUnsafeReadableBytes { bytes in
            guard let start = bytes.baseAddress else { return false }
            return unsafe memchr(start, Int32(byte), bytes.count) != nil
        }
    }

    /// The same for a range.
    func mayContainURL(_ range: ByteRange) -> Bool {
        // SAFETY: memchr(3) reads the range, which is within the readable bytes.
        unsafe withUnsafeReadableBytes { bytes in
            guard let start = unsafe bytes.baseAddress.map({ unsafe $0 + Int(range.start) }), Int(range.end) <= bytes.count,
                range.count > 0
            else { return false }
            return unsafe memchr(start, 0x3F, range.count) != nil || memchr(start, 0x23, range.count) != nil
                || memchr(start, 0x40, range.count) != nil
        }
    }
}
