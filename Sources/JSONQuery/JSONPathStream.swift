// Evaluates a path over text without building trees: one pass checks the text and finds the values. A filter builds a tree of each value
// that it tests, which the rest of the path is evaluated on, and of the whole text if it contains `$`.
//
// The text of a body: a byte order mark is skipped (RFC 8259 section 8.1). JSON texts can come one after another, each ended by a line end
// or by a record separator (NDJSON, JSON Lines, RFC 7464); the path is evaluated on each. A text counts only if all of it is valid and its
// line has nothing else; it ends the body otherwise. So a body that is not JSON has no value.

import Glibc
import HTTPSemantics
import NIOCore

extension JSONPath {
    /// Whether a value that the path selects in a body passes a test.
    /// - Throws: what the test throws.
    package func contains(in body: ByteBuffer, _ test: JSONValueTest) throws -> Bool {
        guard JSONPathStream.mayContain(body, program) else { return false }
        var failure: (any Error)?
        let isFound = JSONPathStream.run(body, self) { stream in
            stream.test = test
            while stream.evaluateText() {
                if stream.failure != nil || stream.isFound { break }
            }
            failure = stream.failure
            return stream.isFound
        }
        if let failure { throw failure }
        return isFound
    }

    /// The values that the path selects in a body, in the order of RFC 9535.
    /// - Parameter visit: returns false to stop.
    package func forEachValue(in body: ByteBuffer, _ visit: (JSONTree) -> Bool) {
        guard JSONPathStream.mayContain(body, program) else { return }
        JSONPathStream.run(body, self) { stream in
            if program.isOrdered {
                while stream.evaluateText() {
                    for value in stream.values where !visit(value) { return }
                }
            } else {
                while let root = stream.nextTree() {
                    var evaluation = JSONPathEvaluation(segments, root: root)
                    guard evaluation.select(from: root, { value, _ in visit(value) }) else { return }
                }
            }
        }
    }
}

/// The evaluation of a path on one body.
// SAFETY: the pointers are to the arrays of a program and live as long as `run`, which creates the stream.
@safe struct JSONPathStream {
    private let body: ByteBuffer
    private let program: JSONPathProgram
    private let segments: [Segment]
    private let steps: UnsafePointer<JSONPathProgram.Step>
    private let ends: UnsafePointer<Int>
    private let names: UnsafeRawPointer
    private let descendants: JSONPathProgram.States
    private let filtered: JSONPathProgram.States
    private let final: JSONPathProgram.States
    private var scanner: JSONScanner
    /// The value of `$`, if a filter needs it.
    private var root: JSONTree = .null
    /// What the values must pass; nil to collect them.
    var test: JSONValueTest?
    private(set) var isFound = false
    private(set) var failure: (any Error)?
    /// The values of the last text.
    private(set) var values: [JSONTree] = []
    /// The places of the values, if they are to be found and not the values.
    private var places: JSONPlaces?
    /// The answer is known: the rest is only checked.
    private var isDecided = false

    /// - Parameter body: not empty.
    static func run<Result>(
        _ body: ByteBuffer, _ path: JSONPath, _ evaluate: (inout JSONPathStream) -> Result
    ) -> Result {
        let program = path.program
        return unsafe body.withUnsafeReadableBytes { bytes in
            unsafe program.steps.withUnsafeBufferPointer { steps in
                unsafe program.ends.withUnsafeBufferPointer { ends in
                    unsafe program.names.withUnsafeBytes { names in
                        // None of them is empty, so each has an address.
                        var stream = unsafe JSONPathStream(
                            body, path, bytes: bytes.baseAddress!, count: bytes.count, steps: steps.baseAddress!,
                            ends: ends.baseAddress!, names: names.baseAddress!)
                        return evaluate(&stream)
                    }
                }
            }
        }
    }

    private init(
        _ body: ByteBuffer, _ path: JSONPath, bytes: UnsafeRawPointer, count: Int,
        steps: UnsafePointer<JSONPathProgram.Step>, ends: UnsafePointer<Int>, names: UnsafeRawPointer
    ) {
        self.body = body
        (program, segments) = (path.program, path.segments)
        unsafe self.steps = steps
        unsafe self.ends = ends
        unsafe self.names = names
        (descendants, filtered, final) = (program.descendants, program.filtered, program.final)
        unsafe scanner = JSONScanner(base: bytes, count: count)
        if body.hasByteOrderMark { scanner.offset = 3 }
    }

    // MARK: Texts

    /// Evaluates the path on the next text.
    /// - Returns: false at the end, or if it is not valid; then it has no values.
    mutating func evaluateText() -> Bool {
        values.removeAll(keepingCapacity: true)
        guard beginText() else { return false }
        if program.usesRoot {
            var ahead = scanner
            guard ahead.skip(0), let tree = tree(at: scanner.offset) else { return false }
            root = tree
        }
        let isValid = value(1, 0, 0) && endsText()
        if !isValid { isFound = false }
        return isValid
    }

    /// Finds the places of the values in all texts.
    /// - Returns: nil if the body is not valid to its end.
    mutating func findPlaces() -> [Range<Int>]? {
        places = JSONPlaces()
        while beginText() {
            guard evaluateText() else { return nil }
        }
        return scanner.offset >= scanner.end ? places?.found : nil
    }

    /// The next text as a tree; nil at the end, or if it is not valid.
    mutating func nextTree() -> JSONTree? {
        guard beginText() else { return nil }
        let start = scanner.offset
        return scanner.skip(0) && endsText() ? tree(at: start) : nil
    }

    private mutating func beginText() -> Bool {
        while scanner.token() == 0 {
            guard scanner.offset < scanner.end, scanner.byte(at: scanner.offset) == Self.recordSeparator
            else { return false }
            scanner.offset += 1
        }
        return true
    }

    private mutating func endsText() -> Bool {
        while scanner.offset < scanner.end {
            switch scanner.byte(at: scanner.offset) {
            case 0x20, 0x09: scanner.offset += 1
            case 0x0A, 0x0D, Self.recordSeparator: return true
            default: return false
            }
        }
        return true
    }

    /// RFC 7464 section 2.2.
    private static let recordSeparator: UInt8 = 0x1E

    /// The value at an offset of a valid text.
    func tree(at offset: Int) -> JSONTree? {
        var reader = JSONReader(body, at: offset)
        return reader.value()
    }

    // MARK: Values

    /// Evaluates the segments on a value.
    /// - Parameters:
    ///   - states: the segments that apply to its children, and whether it is selected.
    ///   - candidates: the segments of its parent whose filters it has not been tested with.
    /// - Returns: false if the text is not valid.
    private mutating func value(_ states: UInt64, _ candidates: UInt64, _ depth: Int) -> Bool {
        if candidates != 0 { return onTree(states, candidates, depth) }
        guard states != 0 else { return scanner.skip(depth) }
        let rest = states & ~final
        guard states & final != 0 else { return children(rest, depth) }
        _ = scanner.token()
        let start = scanner.offset
        guard rest == 0 ? scanner.skip(depth) : children(rest, depth) else { return false }
        if !isDecided { receive(start) }
        return true
    }

    private mutating func children(_ states: UInt64, _ depth: Int) -> Bool {
        switch scanner.token() {
        case 0x7B: object(states, depth)
        case 0x5B: array(states, depth)
        case let first: scanner.scalar(first)
        }
    }

    private mutating func object(_ states: UInt64, _ depth: Int) -> Bool {
        guard depth < JSONTree.maximumDepth else { return false }
        scanner.offset += 1
        if scanner.token() == 0x7D {
            scanner.offset += 1
            return true
        }
        while scanner.token() == 0x22 {
            scanner.offset += 1
            let start = scanner.offset
            let form = scanner.string()
            let end = scanner.offset - 1
            guard form != .invalid, scanner.token() == 0x3A else { return false }
            scanner.offset += 1
            let isValid =
                isDecided
                ? scanner.skip(depth + 1)
                : value(
                    selected(states, start, end, isEscaped: form == .escaped), states & filtered, depth + 1)
            guard isValid else { return false }
            let mark = scanner.token()
            scanner.offset += 1
            if mark == 0x7D { return true }
            guard mark == 0x2C else { return false }
        }
        return false
    }

    private mutating func array(_ states: UInt64, _ depth: Int) -> Bool {
        guard depth < JSONTree.maximumDepth else { return false }
        var count = 0
        if states & program.counted != 0 {
            // Each level would count what is in it.
            if states & descendants != 0 { return onTree(states, 0, depth) }
            guard let found = scanner.count(depth) else { return false }
            count = found
        }
        scanner.offset += 1
        if scanner.token() == 0x5D {
            scanner.offset += 1
            return true
        }
        // Most paths select all elements or none.
        let isPositional = states & program.positional != 0
        var elementStates = selected(states, 0, of: count)
        let candidates = states & filtered
        // Nothing is selected in a scalar.
        let passesScalars = !isPositional && elementStates & final == 0 && candidates == 0
        var index = 0
        while true {
            if isPositional { elementStates = selected(states, index, of: count) }
            let first = scanner.token()
            let isValid =
                if passesScalars, first != 0x7B, first != 0x5B {
                    scanner.scalar(first)
                } else {
                    isDecided ? scanner.skip(depth + 1) : value(elementStates, candidates, depth + 1)
                }
            guard isValid else { return false }
            let mark = scanner.token()
            scanner.offset += 1
            if mark == 0x5D { return true }
            guard mark == 0x2C else { return false }
            index += 1
        }
    }

    // MARK: Selectors

    /// The states of a member, without its filters.
    private func selected(_ states: UInt64, _ start: Int, _ end: Int, isEscaped: Bool) -> UInt64 {
        var result = states & descendants
        var rest = states
        while rest != 0 {
            let segment = rest.trailingZeroBitCount
            rest &= rest &- 1
            for step in unsafe (segment == 0 ? 0 : ends[segment &- 1])..<ends[segment] {
                switch unsafe steps[step] {
                case .name(let nameStart, let count):
                    guard
                        unsafe isEscaped
                            ? isSame(nameStart, count, start)
                            : count == end &- start && scanner.has(names + nameStart, count, at: start)
                    else { continue }
                case .wildcard: break
                case .index, .slice, .filter: continue
                }
                result |= 2 &<< UInt64(segment)
                break
            }
        }
        return result
    }

    /// Whether a name with escapes is a name of the path.
    private func isSame(_ nameStart: Int, _ count: Int, _ start: Int) -> Bool {
        guard case .string(let name) = tree(at: start - 1) else { return false }
        return name.bytes.readableBytesView.elementsEqual(program.names[nameStart..<nameStart + count])
    }

    /// The states of an element, without its filters.
    private func selected(_ states: UInt64, _ index: Int, of count: Int) -> UInt64 {
        var result = states & descendants
        var rest = states
        while rest != 0 {
            let segment = rest.trailingZeroBitCount
            rest &= rest &- 1
            for step in unsafe (segment == 0 ? 0 : ends[segment &- 1])..<ends[segment] {
                switch unsafe steps[step] {
                case .wildcard: break
                case .index(let number):
                    guard index == (number < 0 ? count &+ number : number) else { continue }
                // Without bounds from the end, the number of elements does not matter.
                case .slice(let slice):
                    guard slice.contains(index, in: slice.needsCount ? count : .max >> 1) else { continue }
                case .name, .filter: continue
                }
                result |= 2 &<< UInt64(segment)
                break
            }
        }
        return result
    }

    /// Evaluates the segments on the tree of the next value, as `value` does.
    private mutating func onTree(_ states: UInt64, _ candidates: UInt64, _ depth: Int) -> Bool {
        _ = scanner.token()
        let start = scanner.offset
        guard scanner.skip(depth), let value = tree(at: start) else { return false }
        var rest = states | passing(candidates, value)
        if rest & final != 0 { receive(value, at: start, []) }
        rest &= ~final
        var evaluation = JSONPathEvaluation(segments, root: root)
        while rest != 0, !isDecided {
            _ = evaluation.select(from: value, segment: rest.trailingZeroBitCount) { found, positions in
                receive(found, at: start, positions)
                return !isDecided
            }
            rest &= rest &- 1
        }
        return true
    }

    /// The states after the segments whose filters a value passes.
    private func passing(_ candidates: UInt64, _ value: JSONTree) -> UInt64 {
        var result: UInt64 = 0
        var rest = candidates
        while rest != 0 {
            let segment = rest.trailingZeroBitCount
            rest &= rest &- 1
            for step in unsafe (segment == 0 ? 0 : ends[segment &- 1])..<ends[segment] {
                guard case .filter(let condition) = unsafe steps[step],
                    program.conditions[condition].holds(value, root)
                else { continue }
                result |= 2 &<< UInt64(segment)
                break
            }
        }
        return result
    }

    // MARK: Selected values

    /// Takes a selected value between an offset and the scanner.
    private mutating func receive(_ start: Int) {
        if places != nil {
            places?.found.append(start..<scanner.offset)
        } else if let test {
            decide(Result { try test.passes(scanner, start, scanner.offset, body) })
        } else if let value = tree(at: start) {
            values.append(value)
        }
    }

    /// Takes a selected value that is a tree.
    /// - Parameters:
    ///   - start: of the value that contains it, or is it.
    ///   - positions: of the children on the way from there.
    private mutating func receive(_ value: JSONTree, at start: Int, _ positions: [Int]) {
        if isDecided { return }
        if places != nil {
            places?.find(positions, from: start, scanner)
        } else if let test {
            decide(Result { try test.passes(value) })
        } else {
            values.append(value)
        }
    }

    private mutating func decide(_ result: Result<Bool, any Error>) {
        switch result {
        case .success(false): return
        case .success(true): isFound = true
        case .failure(let error): failure = error
        }
        isDecided = true
    }
}

// MARK: Searching before parsing

extension JSONPathStream {
    /// Whether a body can have a selected value: not if it has no name that every one needs, with escapes or without.
    static func mayContain(_ body: ByteBuffer, _ program: JSONPathProgram) -> Bool {
        body.readableBytes > 0 && body.mayBeginJSON && mayContainName(body, program)
    }

    /// Whether a body has the name that every selected value needs, with escapes or without.
    static func mayContainName(_ body: ByteBuffer, _ program: JSONPathProgram) -> Bool {
        guard let name = program.requiredName else { return true }
        return body.contains(name) || body.hasBackslash && body.contains([0x5C, 0x75])
    }
}

extension ByteBuffer {
    /// False if the first byte after white space, a byte order mark and a record separator begins no JSON text.
    package var mayBeginJSON: Bool {
        let bytes = readableBytesUInt8Span
        for index in bytes.indices {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D, 0x1E, 0xEF, 0xBB, 0xBF: continue
            case 0x7B, 0x5B, 0x22, 0x2D, 0x30...0x39, 0x74, 0x66, 0x6E: return true
            default: return false
            }
        }
        return true
    }

    /// That of UTF-8.
    var hasByteOrderMark: Bool { byte(at: 0) == 0xEF && byte(at: 1) == 0xBB && byte(at: 2) == 0xBF }

    fileprivate var hasBackslash: Bool {
        // SAFETY: the address and the number of readable bytes.
        unsafe withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            return unsafe memchr(base, 0x5C, bytes.count) != nil
        }
    }

    /// Whether bytes occur in it: eight positions at a time are compared with the first byte and the last one.
    fileprivate func contains(_ part: [UInt8]) -> Bool {
        guard let first = part.first, let last = part.last else { return true }
        // SAFETY: every read is of a position below the number of bytes.
        return unsafe withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress, bytes.count >= part.count else { return false }
            let end = bytes.count - part.count
            func isPart(at position: Int) -> Bool {
                for index in part.indices where unsafe bytes[position + index] != part[index] {
                    return false
                }
                return true
            }
            var position = 0
            while position + 8 <= end {
                var hits =
                    unsafe EightBytes(at: base + position).equal(to: first)
                    & EightBytes(at: base + position + part.count - 1).equal(to: last)
                while hits != 0 {
                    if isPart(at: position + hits.trailingZeroBitCount / 8) { return true }
                    hits &= hits - 1
                }
                position += 8
            }
            while position <= end {
                if isPart(at: position) { return true }
                position += 1
            }
            return false
        }
    }
}
