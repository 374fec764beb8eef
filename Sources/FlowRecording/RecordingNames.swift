// The names of a recording's files: a pattern of strftime(3), and a number before the extension where two names would be the same.

import FlowArchive
import FlowModel
import Glibc

/// Names one file after the other. A file that exists is never opened by ``next(at:isFree:)``.
struct RecordingNames {
    /// What a recording without a name is called, in the working directory.
    private static let automatic = "capture-%Y%m%d-%H%M%S"

    private let pattern: String
    /// A time that gives another name begins another file.
    let followTime: Bool
    /// The name that was made last: the expanded pattern and its number, 0 for none.
    private(set) var base = ""
    private var number = 0

    /// - Parameters:
    ///   - pattern: nil for a name that is made of the date and the time.
    ///   - isEncrypted: that name says so.
    init(_ pattern: String?, isEncrypted: Bool = false) {
        self.pattern = pattern ?? Self.automatic + (isEncrypted ? ".mflow.age" : ".mflow")
        followTime = pattern?.contains("%") == true
    }

    /// The name at a moment, in local time.
    func name(at now: Timestamp) -> String { Self.expand(pattern, now) }

    /// Uses the name at a moment, whether or not there is such a file.
    mutating func first(at now: Timestamp) -> String {
        (base, number) = (name(at: now), 0)
        return base
    }

    /// Makes a name that no file has, and lets the caller open a file of that name.
    /// - Parameters:
    ///   - isFree: whether the last file has lost its name, which then can be used again.
    ///   - open: opens a new file; throws EEXIST when there is one.
    mutating func next<Opened>(
        at now: Timestamp, isFree: Bool, _ open: (String) throws(ArchiveError) -> Opened
    ) throws(ArchiveError) -> Opened {
        let name = name(at: now)
        if name != base {
            (base, number) = (name, Self.firstUnused(name))
        } else if !isFree {
            number += 1
        }
        while true {
            do throws(ArchiveError) {
                return try open(Self.numbered(base, number))
            } catch {
                guard error.kind == .system(EEXIST) else { throw error }
                number += 1
            }
        }
    }

    /// Whether this pattern makes a name, for a file that was begun at a moment.
    func makes(_ path: String, at begun: Timestamp) -> Bool {
        let name = name(at: begun)
        return path == name || Self.number(of: path, from: name) != nil
    }

    /// Paths that can have names of this pattern, and others.
    var candidates: [String] {
        var wildcards = ""
        let (stem, ending) = Self.divided(pattern)
        for part in [stem, "*", ending] {
            var rest = part == "*" ? ""[...] : part[...]
            if part == "*" { wildcards += part }
            while let character = rest.popFirst() {
                switch character {
                case "%":
                    // Flags and a width may precede the letter.
                    while let flag = rest.first, "_-0^#+EO".contains(flag) || flag.isNumber { rest.removeFirst() }
                    wildcards += rest.popFirst() == "%" ? "%" : "*"
                case "*", "?", "[", "\\": wildcards += "\\\(character)"
                default: wildcards.append(character)
                }
            }
        }
        return FileName.matching(wildcards)
    }

    // MARK: Numbers

    /// `capture.mflow` and 7 are `capture-00007.mflow`.
    private static func numbered(_ base: String, _ number: Int) -> String {
        guard number > 0 else { return base }
        let (stem, ending) = divided(base)
        let digits = String(number)
        return stem + "-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ending
    }

    /// The number in a name that was made of another one; nil in any other name.
    private static func number(of path: String, from base: String) -> Int? {
        let (stem, ending) = divided(base)
        guard path.hasPrefix(stem + "-"), path.hasSuffix(ending) else { return nil }
        let digits = path.dropFirst(stem.count + 1).dropLast(ending.count)
        guard digits.count >= 5, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits),
            path == numbered(base, number)
        else { return nil }
        return number
    }

    /// The number after those of files that have the name already, so that names stay in the order of time when the first ones are gone.
    private static func firstUnused(_ base: String) -> Int {
        let (stem, ending) = divided(base)
        let others = FileName.matching(FileName.escaped(stem) + "-*" + FileName.escaped(ending))
        return others.compactMap { number(of: $0, from: base) }.max().map { $0 + 1 } ?? 0
    }

    /// A name before and from its extension on; `.mflow.age` is one.
    private static func divided(_ path: String) -> (stem: String, ending: String) {
        let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        let compound = ".mflow.age"
        if name.hasSuffix(compound), name.count > compound.count {
            return (String(path.dropLast(compound.count)), compound)
        }
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return (path, "") }
        return (String(path[..<dot]), String(path[dot...]))
    }

    /// A file name at a moment, in local time.
    private static func expand(_ pattern: String, _ now: Timestamp) -> String {
        guard pattern.contains("%") else { return pattern }
        var seconds = time_t(now.nanoseconds / 1_000_000_000)
        var parts = unsafe tm()
        unsafe localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = unsafe strftime(&buffer, buffer.count, pattern, &parts)
        return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : pattern
    }
}
