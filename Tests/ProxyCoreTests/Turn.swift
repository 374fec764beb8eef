// What a session asks for after an event, and whether a test has examined it: a script must not pass over a command by accident.

import ProxyCore
import Testing

/// The commands that follow an event, a line each. A test that reads them has examined them.
final class Turn: RandomAccessCollection, CustomStringConvertible {
    private let lines: [String]
    private let sourceLocation: SourceLocation
    private var isExamined = false
    /// Connections whose bytes are in the lines and have not been taken.
    private var untaken: Set<String> = []
    private let needsComparison: Bool

    fileprivate init(_ lines: [String], at sourceLocation: SourceLocation) {
        self.lines = lines
        self.sourceLocation = sourceLocation
        let sends = lines.filter { $0.hasPrefix("send ") }
        needsComparison = sends.count < lines.count
        for line in sends { untaken.insert(String(line.dropFirst(5).prefix { $0 != ":" })) }
    }

    var startIndex: Int { 0 }
    var endIndex: Int { read().count }
    subscript(index: Int) -> String { read()[index] }
    subscript(bounds: Range<Int>) -> ArraySlice<String> { read()[bounds] }
    var description: String { lines.description }

    static func == (turn: Turn, lines: [String]) -> Bool { turn.read() == lines }

    private func read() -> [String] {
        isExamined = true
        return lines
    }

    fileprivate func took(_ handle: ConnectionHandle) { untaken.remove("\(handle)") }

    /// Whether the test may still examine it: lines are compared before the next event, bytes may be taken until the end.
    fileprivate var isOpen: Bool { !isExamined && !untaken.isEmpty }

    /// Fails unless a test has compared the lines or, where they are nothing but bytes, may take them later.
    fileprivate func check(isLast: Bool) {
        guard !isExamined, needsComparison || (isLast && !untaken.isEmpty) else { return }
        isExamined = true
        Issue.record("what followed was not examined: \(lines.map { String($0.prefix(200)) })", sourceLocation: sourceLocation)
    }
}

/// The turns of one script. An event after which a test compares nothing is a claim that nothing follows; only bytes may also be taken
/// later. Whatever has not been examined at the next event, or at the end, fails.
final class Turns {
    private var held: [Turn] = []
    private(set) var isSkipping = false

    deinit { for turn in held { turn.check(isLast: true) } }

    /// An event is about to be delivered.
    func next() {
        for turn in held { turn.check(isLast: false) }
        held.removeAll { !$0.isOpen }
    }

    func hold(_ lines: [String], at sourceLocation: SourceLocation) -> Turn {
        let turn = Turn(lines, at: sourceLocation)
        if !isSkipping { held.append(turn) }
        return turn
    }

    func took(_ handle: ConnectionHandle) { for turn in held { turn.took(handle) } }

    func skip<Result>(_ events: () throws -> Result) rethrows -> Result {
        next()
        let before = isSkipping
        isSkipping = true
        defer { isSkipping = before }
        return try events()
    }
}
