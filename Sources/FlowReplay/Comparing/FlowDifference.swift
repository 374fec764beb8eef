// A difference between a recorded answer and a new one, for people and for programs.

/// One difference.
package struct FlowDifference: Sendable, Equatable {
    /// One of the two values.
    package enum Value: Sendable, Equatable {
        /// There is nothing at this place.
        case none
        case number(Int)
        case text(String)
        /// Compact text of a JSON value.
        case json(String)

        /// Redaction hid it, or a part of it.
        fileprivate var isHidden: Bool { text.contains("«redacted") }

        fileprivate var text: String {
            switch self {
            case .none: "none"
            case .number(let number): "\(number)"
            case .text(let text), .json(let text): text
            }
        }
    }

    /// The place for programs: `status`, `header:etag`, `$.items[0].price`, `body:line 2`, `message 1:$.a`.
    package var path: String
    /// The place for people, before the colon.
    package var place: String
    package var recorded: Value
    package var now: Value
    /// More about the new answer, such as the reason why there is none.
    package var remark: String?
    /// The sizes of two contents of which one place is named, in bytes.
    package var sizes: (recorded: Int, now: Int)?

    package init(
        path: String, place: String, recorded: Value, now: Value, remark: String? = nil, sizes: (recorded: Int, now: Int)? = nil
    ) {
        (self.path, self.place, self.recorded, self.now) = (path, place, recorded, now)
        (self.remark, self.sizes) = (remark, sizes)
    }

    package static func == (a: FlowDifference, b: FlowDifference) -> Bool {
        (a.path, a.place, a.recorded, a.now, a.remark) == (b.path, b.place, b.recorded, b.now, b.remark)
            && a.sizes?.recorded == b.sizes?.recorded && a.sizes?.now == b.sizes?.now
    }

    /// One line that is safe for a terminal: `status: 200 → 500`.
    package var line: String {
        let (was, now) = Self.excerpts(recorded.text, self.now.text, maximum: 150)
        var text = "\(FlowComparison.visible(place)): \(FlowComparison.visible(was)) → \(FlowComparison.visible(now))"
        if let remark { text += ": \(FlowComparison.visible(remark))" }
        if let sizes {
            text += sizes.recorded == sizes.now ? " (of \(sizes.now))" : " (\(sizes.recorded) bytes → \(sizes.now) bytes)"
        }
        return text
    }

    /// Two texts of limited length, from shortly before the place where they begin to differ.
    package static func excerpts(_ one: String, _ other: String, maximum: Int) -> (String, String) {
        let (a, b) = (one.unicodeScalars, other.unicodeScalars)
        let context = maximum / 4
        let equal = zip(a, b).prefix { $0 == $1 }.count
        let start = equal > maximum / 2 ? equal - context : 0
        func excerpt(_ text: String.UnicodeScalarView) -> String {
            let rest = text.dropFirst(start)
            let shown = String(String.UnicodeScalarView(rest.prefix(maximum)))
            return (start > 0 ? "…" : "") + shown + (rest.dropFirst(maximum).isEmpty ? "" : "…")
        }
        return (excerpt(a), excerpt(b))
    }
}

/// The differences of one flow: the first ones, and the number of all.
package struct FlowDifferences: Sendable, Equatable {
    package private(set) var first: [FlowDifference] = []
    package private(set) var count = 0
    private let maximum: Int

    init(maximum: Int) { self.maximum = maximum }

    package var isEmpty: Bool { count == 0 }
    /// Those that are not among the first ones.
    package var moreCount: Int { count - first.count }

    mutating func add(_ difference: @autoclosure () -> FlowDifference) {
        if count < maximum { first.append(difference()) }
        count += 1
    }

    /// Those of the first ones in which only the new value is hidden: rules hid it by which the recorded one was not.
    var madeByRedaction: Int { first.count { $0.recorded != .none && $0.now.isHidden && !$0.recorded.isHidden } }

    /// Lines for people.
    package var lines: [String] { first.map(\.line) + (moreCount > 0 ? ["+ \(moreCount) more"] : []) }
}
