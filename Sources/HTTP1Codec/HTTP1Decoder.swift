// Decodes a stream of HTTP/1 messages (RFC 9112): heads, content by its framing, trailers. Bytes are appended as they come and events are
// pulled out; events carry slices of the received bytes. Nothing is decoded ahead of the pull, so pipelined messages wait in the buffer, and so
// do the bytes after a message that changes the protocol. This file has the common part of requests and responses; HTTP1RequestDecoder and
// HTTP1ResponseDecoder read their heads.

import Glibc
import HTTPSemantics
import NIOCore

/// A decoder for one direction of one connection. Used on one thread.
package class HTTP1Decoder {
    /// Content, or the end of a message.
    enum Part {
        case content(ByteBuffer, wire: ByteBuffer, isLast: Bool)
        case end(trailers: FieldSection?, wire: ByteBuffer)
    }

    enum State: Equatable {
        case head
        case fixed(remaining: UInt64)
        case chunkSize
        case chunkData(remaining: UInt64)
        /// The CRLF after a chunk's data.
        case chunkEnd
        /// The trailer section; the bytes of the last chunk's line precede it.
        case trailers(lastChunk: Int)
        case untilClose
        case tunnel
        case failed(HTTP1Error)
    }

    let limits: HTTP1Limits
    let validation: HTTP1Validation
    /// Invalid names and values are refused instead of noted.
    private let refusesOddities: Bool
    private let readsRequests: Bool
    var buffer = ByteBuffer()
    private(set) var state = State.head
    /// Bytes of the buffer that do not contain the end of a head, and the end of its start-line if known.
    private(set) var scanned = 0
    private var startLineEnd: Int?
    /// The head or trailer section that was read last.
    private(set) var parsed = ParsedHead()
    private var hasEnded = false
    /// Deviations that passed: since they were last taken, and of the current message.
    private var notes: [String] = []
    private var noted: [String] = []
    /// Bytes that were removed from the buffer and then refused.
    private var refused = ByteBuffer()

    init(readsRequests: Bool, limits: HTTP1Limits, validation: HTTP1Validation) {
        self.readsRequests = readsRequests
        self.limits = limits
        self.validation = validation
        refusesOddities = readsRequests && validation == .strict
    }

    /// Appends received bytes. Nothing is copied while the decoder keeps up.
    package func receive(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The peer sent its FIN.
    package func receivedEnd() { hasEnded = true }

    package var bufferedBytes: Int { buffer.readableBytes }

    /// No message has begun: a close here is clean.
    package var isBetweenMessages: Bool {
        if case .head = state { buffer.readableBytes == 0 } else { false }
    }

    /// Removes and returns all bytes that were not consumed.
    package func takeRest() -> ByteBuffer {
        defer { buffer = ByteBuffer() }
        return buffer
    }

    /// After an error: the bytes that could not be parsed, and all later ones.
    package func takeRefused() -> ByteBuffer {
        defer { refused = ByteBuffer() }
        guard refused.readableBytes > 0 else { return takeRest() }
        refused.writeImmutableBuffer(takeRest())
        return refused
    }

    /// The deviations in the events since the last call, as sentences. Each occurs once for a message.
    package func takeNotes() -> [String] {
        guard !notes.isEmpty else { return [] }
        defer { notes = [] }
        return notes
    }

    func note(_ sentence: @autoclosure () -> String) {
        let sentence = sentence()
        guard !noted.contains(sentence) else { return }
        noted.append(sentence)
        notes.append(sentence)
    }

    /// Content or the end of the message whose head was read.
    func nextPart() throws(HTTP1Error) -> Part? {
        switch state {
        case .fixed(let remaining): return try nextFixed(remaining)
        case .chunkSize: return try nextChunk()
        case .chunkData(let remaining): return try nextChunkData(remaining, lineLength: 0)
        case .chunkEnd: return try nextChunkEnd()
        case .trailers(let lastChunk): return try nextTrailers(lastChunk)
        case .untilClose: return nextUntilClose()
        case .tunnel: return nil
        case .failed(let error): throw error
        case .head: preconditionFailure("a head is not a part")
        }
    }

    /// - Returns: the error, which every later call throws again.
    func failed(_ error: HTTP1Error) -> HTTP1Error {
        state = .failed(error)
        return error
    }

    // MARK: Heads

    /// Takes the next head from the buffer and reads it into ``parsed``.
    /// - Returns: its bytes; nil if it is not complete.
    func takeHead() throws(HTTP1Error) -> ByteBuffer? {
        guard buffer.readableBytes > 0 else { return nil }
        let whole = wholeHead()
        var length = whole
        if length == nil { length = try headLength() }
        guard let length else {
            if hasEnded { throw truncated("head") }
            return nil
        }
        let wire = buffer.readSlice(length: length) ?? ByteBuffer()
        scanned = 0
        startLineEnd = nil
        if !noted.isEmpty { noted = [] }
        if whole == nil {
            do throws(HTTP1Error) { try parse(wire, fieldsOnly: false) } catch { throw refuse(wire, error) }
        }
        return wire
    }

    /// Keeps a head that is refused.
    /// - Returns: the error with that head.
    func refuse(_ wire: ByteBuffer, _ error: HTTP1Error) -> HTTP1Error {
        refused = wire
        var error = error
        error.head = wire
        return error
    }

    /// Reads the head at the buffer's start, if it is complete and valid: most are, and are read in one pass.
    /// - Returns: its length.
    private func wholeHead() -> Int? {
        guard scanned == 0, (try? parse(buffer, fieldsOnly: false)) != nil, let end = parsed.facts.end,
            parsed.fieldsAt <= limits.maximumStartLine, end <= limits.maximumFieldSectionSize
        else { return nil }
        return end
    }

    /// The length of the head at the buffer's start, its empty line included; nil if it is not complete.
    private func headLength() throws(HTTP1Error) -> Int? {
        if startLineEnd == nil { startLineEnd = buffer.lineFeed(from: scanned) }
        let length = Self.sectionLength(of: buffer, from: scanned)
        let seen = length ?? buffer.readableBytes
        if startLineEnd ?? buffer.readableBytes > limits.maximumStartLine {
            throw HTTP1Error(
                .startLineTooLong, "the start-line is longer than \(limits.maximumStartLine) bytes", head: startOfBuffer)
        }
        if seen > limits.maximumFieldSectionSize {
            throw HTTP1Error(
                .fieldsTooLarge, "the head is larger than \(limits.maximumFieldSectionSize) bytes", head: startOfBuffer)
        }
        if length == nil { scanned = max(0, buffer.readableBytes - 3) }
        return length
    }

    private var startOfBuffer: ByteBuffer { buffer.slice(ByteRange(0, min(4096, buffer.readableBytes))) }

    /// Searches for an empty line: the length up to and including it.
    private static func sectionLength(of buffer: ByteBuffer, from start: Int) -> Int? {
        unsafe buffer.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            var position = start
            while position < bytes.count, let found = unsafe memchr(base + position, 0x0A, bytes.count - position) {
                let feed = unsafe found - UnsafeMutableRawPointer(mutating: base)
                let next = feed + 1
                if next < bytes.count, unsafe bytes[next] == 0x0A { return next + 1 }
                if next + 1 < bytes.count {
                    let isEmptyLine = unsafe bytes[next] == 0x0D && bytes[next + 1] == 0x0A
                    if isEmptyLine { return next + 2 }
                }
                position = next
            }
            return nil
        }
    }

    /// Reads a head, or field lines alone, into ``parsed``.
    private func parse(_ wire: ByteBuffer, fieldsOnly: Bool) throws(HTTP1Error) {
        var failure: HTTP1Error?
        unsafe wire.withUnsafeReadableBytes { bytes in
            let parser = unsafe HeadParser(bytes: bytes, maximumFieldCount: limits.maximumFieldCount)
            do throws(HTTP1Error) {
                if fieldsOnly { try parser.fields(from: 0, into: &parsed) } else { try parser.head(into: &parsed) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Names that are not tokens, and control characters in values: refused in requests, noted where they pass.
    func judgeOddities(_ fields: FieldSection) throws(HTTP1Error) {
        guard parsed.facts.hasOddities else { return }
        let facts = parsed.facts
        func judge(_ line: Int?, _ what: String) throws(HTTP1Error) {
            guard let line else { return }
            let sentence = "the field '\(fields.slice(fields.lines[line].name).visible)' has a \(what)"
            if refusesOddities { throw HTTP1Error(.field, sentence, isRelaxable: true) }
            note(sentence)
        }
        if let line = facts.spacedName {
            // RFC 9112 §5.1: refused in a request, because parsers disagree; removed before the colon of a response.
            let name = fields.slice(fields.lines[line].name).visible
            guard !readsRequests else {
                throw HTTP1Error(.field, "the field '\(name)' has white space in its name or before its colon")
            }
            note("the field '\(name)' has white space in its name or before its colon; the latter is not sent on")
        }
        try judge(facts.oddName, "name that is not a token")
        try judge(facts.oddValue, "value with a control character")
    }

    /// The fields of the head that was read.
    func takeFields(of wire: ByteBuffer) -> FieldSection {
        FieldSection(
            wire: wire.slice(ByteRange(parsed.fieldsAt, parsed.fieldsAt + parsed.facts.length)), lines: parsed.takeLines(),
            isCanonical: parsed.facts.isCanonical)
    }

    func begin(_ framing: BodyFraming) {
        switch framing {
        case .none: state = .head
        case .length(let length): state = .fixed(remaining: length)
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        case .tunnel, .stream: state = .tunnel
        }
    }

    // MARK: Framing (RFC 9112 §6.3)

    /// Notes an ambiguous framing that passed.
    func noteFraming(_ facts: FieldFacts, _ version: HTTPVersion) {
        let codings = facts.codings
        if facts.contentLength != nil || facts.invalidLength != nil {
            note("Content-Length and Transfer-Encoding were both given; one of them is sent on")
        }
        if version.minor == 0 { note("Transfer-Encoding was given in HTTP/1.0") }
        if codings.chunked > 1 { note("Transfer-Encoding names chunked more than once") }
        if codings.isMalformed { note("Transfer-Encoding names nothing between commas") }
        if codings.hasUnknown || codings.chunked > 0 && !codings.endsInChunked {
            note("Transfer-Encoding names codings that are not known, or chunked is not the last")
        }
    }

    // MARK: Content

    private func truncated(_ what: String) -> HTTP1Error {
        HTTP1Error(
            .truncated, "the connection was closed in the middle of the \(what)",
            head: what == "head" ? startOfBuffer : ByteBuffer())
    }

    private func nextFixed(_ remaining: UInt64) throws(HTTP1Error) -> Part? {
        guard buffer.readableBytes > 0 else {
            if hasEnded { throw truncated("content") }
            return nil
        }
        let count = Int(min(UInt64(buffer.readableBytes), remaining))
        let content = buffer.readSlice(length: count) ?? ByteBuffer()
        let isLast = UInt64(count) == remaining
        state = isLast ? .head : .fixed(remaining: remaining - UInt64(count))
        return .content(content, wire: content, isLast: isLast)
    }

    private func nextUntilClose() -> Part? {
        if buffer.readableBytes > 0 {
            let content = takeRest()
            return .content(content, wire: content, isLast: false)
        }
        guard hasEnded else { return nil }
        state = .head
        return .end(trailers: nil, wire: ByteBuffer())
    }

    /// A chunk's first line, and its data as far as received.
    private func nextChunk() throws(HTTP1Error) -> Part? {
        guard let line = try ChunkLine(buffer, limits, isLenient: !readsRequests, refusesOddExtensions: refusesOddities) else {
            if hasEnded { throw truncated("content") }
            return nil
        }
        if line.hasOddExtension { note("a chunk has an extension that is not 'name' or 'name=value'") }
        if line.size == 0 {
            state = .trailers(lastChunk: line.length)
            scanned = 0
            startLineEnd = nil
            return try nextTrailers(line.length)
        }
        return try nextChunkData(line.size, lineLength: line.length)
    }

    /// - Parameter lineLength: bytes of the chunk's first line before the data, still in the buffer.
    private func nextChunkData(_ remaining: UInt64, lineLength: Int) throws(HTTP1Error) -> Part? {
        let available = buffer.readableBytes - lineLength
        guard available > 0 || lineLength > 0 else {
            if hasEnded { throw truncated("content") }
            return nil
        }
        let count = Int(min(UInt64(available), remaining))
        let content = buffer.slice(ByteRange(lineLength, lineLength + count))
        var wireLength = lineLength + count
        if UInt64(count) == remaining {
            state = .chunkEnd
            if buffer.readableBytes >= wireLength + 2 {
                try checkChunkEnd(at: wireLength)
                wireLength += 2
                state = .chunkSize
            }
        } else {
            state = .chunkData(remaining: remaining - UInt64(count))
        }
        return .content(content, wire: buffer.readSlice(length: wireLength) ?? ByteBuffer(), isLast: false)
    }

    private func nextChunkEnd() throws(HTTP1Error) -> Part? {
        guard buffer.readableBytes >= 2 else {
            if hasEnded { throw truncated("content") }
            return nil
        }
        try checkChunkEnd(at: 0)
        state = .chunkSize
        return .content(ByteBuffer(), wire: buffer.readSlice(length: 2) ?? ByteBuffer(), isLast: false)
    }

    private func checkChunkEnd(at offset: Int) throws(HTTP1Error) {
        guard buffer.getInteger(at: buffer.readerIndex + offset) == UInt16(0x0D0A) else {
            throw HTTP1Error(.chunk, "a chunk's data is not followed by CRLF")
        }
    }

    /// The trailer section after the last chunk, whose line of `lastChunk` bytes is still in the buffer.
    private func nextTrailers(_ lastChunk: Int) throws(HTTP1Error) -> Part? {
        let section = buffer.slice(ByteRange(lastChunk, buffer.readableBytes))
        let length: Int?
        if section.getInteger(at: section.readerIndex) == UInt16(0x0D0A) {
            length = 2
        } else if section.readableBytesView.first == 0x0A {
            throw HTTP1Error(.chunk, "the last chunk is not followed by CRLF")
        } else {
            length = Self.sectionLength(of: section, from: 0)
        }
        guard let length else {
            if section.readableBytes > limits.maximumFieldSectionSize {
                throw HTTP1Error(.fieldsTooLarge, "the trailer section is larger than \(limits.maximumFieldSectionSize) bytes")
            }
            if hasEnded { throw truncated("trailer section") }
            return nil
        }
        if length > 2 { return try nextTrailers(section.slice(ByteRange(0, length)), lastChunk) }
        state = .head
        scanned = 0
        return .end(trailers: nil, wire: buffer.readSlice(length: lastChunk + length) ?? ByteBuffer())
    }

    /// A complete trailer section.
    private func nextTrailers(_ section: ByteBuffer, _ lastChunk: Int) throws(HTTP1Error) -> Part? {
        try parse(section, fieldsOnly: true)
        let facts = parsed.facts
        // RFC 9110 §6.5.1: fields that decide framing or routing are not allowed in a trailer.
        guard facts.contentLength == nil, facts.invalidLength == nil, !facts.codings.isPresent, facts.hosts == 0 else {
            throw HTTP1Error(.framing, "the trailer section holds a field that decides framing or routing")
        }
        let trailers = FieldSection(
            wire: section.slice(ByteRange(0, facts.length)), lines: parsed.takeLines(), isCanonical: facts.isCanonical)
        try judgeOddities(trailers)
        state = .head
        scanned = 0
        return .end(
            trailers: trailers, wire: buffer.readSlice(length: lastChunk + section.readableBytes) ?? ByteBuffer())
    }
}

extension ByteBuffer {
    /// The offset of the next LF from an offset.
    fileprivate func lineFeed(from start: Int) -> Int? {
        unsafe withUnsafeReadableBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress else { return nil }
            guard let found = unsafe memchr(base + start, 0x0A, bytes.count - start) else { return nil }
            return unsafe found - UnsafeMutableRawPointer(mutating: base)
        }
    }

    /// Bytes as text for a sentence: other than visible ASCII characters become question marks, and long text is cut.
    fileprivate var visible: String {
        String(decoding: readableBytesView.prefix(64).map { 0x21...0x7E ~= $0 ? $0 : 0x3F }, as: UTF8.self)
    }
}
