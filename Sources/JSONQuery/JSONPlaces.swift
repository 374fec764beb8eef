// Where values are in JSON text, so that a text can be edited and keeps the rest of its bytes: values that a path selects, and members by
// their names. Texts can come one after another, as in JSONPathStream.swift.

import HTTPSemantics
import NIOCore

extension JSONPath {
    /// Where the values are that the path selects in a body.
    /// - Returns: ranges of bytes, which may repeat and contain one another; nil if the body is not JSON to its end. A body without the name
    ///   that every selected value needs is not read.
    package func places(in body: ByteBuffer) -> [Range<Int>]? {
        guard body.readableBytes > 0 else { return [] }
        guard JSONPathStream.mayContainName(body, program) else { return [] }
        return JSONPathStream.run(body, self) { $0.findPlaces() }
    }
}

/// The places of the values that were found so far.
struct JSONPlaces {
    var found: [Range<Int>] = []
    /// Of containers, by their offset, the offsets of their children. So each container is read once, however many of its children are found.
    private var children: [Int: [Int]] = [:]

    /// Adds the place of a value.
    /// - Parameters:
    ///   - positions: of the children on the way to it.
    ///   - start: where the way begins: a valid value.
    ///   - scanner: over the text.
    mutating func find(_ positions: [Int], from start: Int, _ scanner: JSONScanner) {
        var scanner = scanner
        scanner.offset = start
        for position in positions {
            _ = scanner.token()
            let starts = children[scanner.offset] ?? scanner.childOffsets()
            children[scanner.offset] = starts
            guard position < starts.count else { return }
            scanner.offset = starts[position]
        }
        _ = scanner.token()
        let first = scanner.offset
        if scanner.skip(0) { found.append(first..<scanner.offset) }
    }
}

extension JSONScanner {
    /// The offsets of the children of a valid container at its bracket; none of another value.
    fileprivate func childOffsets() -> [Int] {
        var ahead = self
        var offsets: [Int] = []
        let bracket = ahead.token()
        guard bracket == 0x7B || bracket == 0x5B else { return [] }
        ahead.offset += 1
        if ahead.token() == bracket &+ 2 { return [] }
        while true {
            if bracket == 0x7B {
                guard ahead.memberName() != nil else { return offsets }
            }
            _ = ahead.token()
            offsets.append(ahead.offset)
            guard ahead.skip(1), ahead.token() == 0x2C else { return offsets }
            ahead.offset += 1
        }
    }

    /// Skips the name of a member and the colon.
    /// - Returns: the range of the name without its quotation marks; nil if it is not valid.
    @inline(__always) fileprivate mutating func memberName() -> (start: Int, end: Int, isEscaped: Bool)? {
        guard token() == 0x22 else { return nil }
        offset &+= 1
        let start = offset
        let form = string()
        guard form != .invalid else { return nil }
        let end = offset &- 1
        guard token() == 0x3A else { return nil }
        offset &+= 1
        return (start, end, form == .escaped)
    }
}

/// Members of objects, found by their names.
package enum JSONMembers {
    /// A member that was chosen.
    package struct Place: Equatable {
        /// What the caller returned for its name.
        package var choice: Int
        /// The bytes of its value.
        package var value: Range<Int>
    }

    /// Finds the values of members at any depth. Values in a chosen value are not visited.
    /// - Parameter choose: takes a name without escapes; returns nil if the member is not chosen.
    /// - Returns: in the order of the text; nil if the body is not JSON to its end.
    package static func places(in body: ByteBuffer, choose: (Span<UInt8>) -> Int?) -> [Place]? {
        unsafe body.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress, bytes.count > 0 else { return [] }
            var scanner = unsafe JSONScanner(base: base, count: bytes.count)
            if body.hasByteOrderMark { scanner.offset = 3 }
            var places: [Place] = []
            while scanner.offset < scanner.end {
                switch scanner.token() {
                case 0 where scanner.offset >= scanner.end: return places
                // RFC 7464 section 2.2.
                case 0 where scanner.byte(at: scanner.offset) == 0x1E: scanner.offset += 1
                case 0: return nil
                default: guard scanner.find(&places, body, choose), scanner.endsText() else { return nil }
                }
            }
            return places
        }
    }
}

extension JSONScanner {
    /// After a text come the end, a line end or a record separator.
    fileprivate mutating func endsText() -> Bool {
        while offset < end, byte(at: offset) == 0x20 || byte(at: offset) == 0x09 { offset += 1 }
        guard offset < end else { return true }
        let next = byte(at: offset)
        return next == 0x0A || next == 0x0D || next == 0x1E
    }

    /// Skips a value and finds the members in it. The depth is limited, and so is the number of open containers.
    fileprivate mutating func find(
        _ places: inout [JSONMembers.Place], _ body: ByteBuffer, _ choose: (Span<UInt8>) -> Int?
    ) -> Bool {
        // The open brackets.
        var open: [UInt8] = []
        values: while true {
            let first = token()
            if first == 0x7B || first == 0x5B {
                guard open.count < JSONTree.maximumDepth else { return false }
                offset &+= 1
                if token() != first &+ 2 {
                    open.append(first)
                    if first == 0x7B {
                        guard let isSkipped = member(&places, body, choose, depth: open.count) else { return false }
                        if !isSkipped { continue values }
                    } else {
                        continue values
                    }
                } else {
                    offset &+= 1
                }
            } else if !scalar(first) {
                return false
            }
            // After a value.
            while let bracket = open.last {
                let mark = token()
                offset &+= 1
                if mark == 0x2C {
                    guard bracket == 0x7B else { continue values }
                    guard let isSkipped = member(&places, body, choose, depth: open.count) else { return false }
                    if isSkipped { continue }
                    continue values
                }
                guard mark == bracket &+ 2 else { return false }
                open.removeLast()
            }
            return true
        }
    }

    /// Skips the name of a member, and its value if it is chosen.
    /// - Returns: whether the value was skipped; nil if the text is not valid.
    private mutating func member(
        _ places: inout [JSONMembers.Place], _ body: ByteBuffer, _ choose: (Span<UInt8>) -> Int?, depth: Int
    ) -> Bool? {
        guard let name = memberName() else { return nil }
        let choice: Int?
        if name.isEscaped {
            var reader = JSONReader(body, at: name.start - 1)
            guard let text = reader.value()?.string else { return nil }
            choice = choose(text.bytes.readableBytesUInt8Span)
        } else {
            choice = withBytes(name.start, name.end) { choose($0) }
        }
        guard let choice else { return false }
        _ = token()
        let start = offset
        guard skip(depth) else { return nil }
        places.append(JSONMembers.Place(choice: choice, value: start..<offset))
        return true
    }
}
