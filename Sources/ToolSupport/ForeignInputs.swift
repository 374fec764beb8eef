// Files of other programs as inputs of a tool: how the readers get their bytes, and how damage is reported.

import FlowArchive
import FlowModel
import ForeignArchives
import NIOCore

/// A file of another program, read once from front to back.
package struct ForeignSource {
    /// Bytes that are passed to a reader at a time.
    private static let piece = 256 * 1024

    private let input: ArchiveInput
    private let name: String
    private let format: ForeignFormat
    var beforeWaiting: (() -> Void)? {
        get { input.beforeWaiting }
        nonmutating set { input.beforeWaiting = newValue }
    }
    /// Called before each flow with the bytes that were read; returns false to end the reading there.
    package var beforeFlow: ((UInt64) -> Bool)?
    /// It was damaged, or its end torn.
    package private(set) var isDamaged = false

    init(input: ArchiveInput, name: String, format: ForeignFormat) {
        self.input = input
        self.name = name
        self.format = format
    }

    /// Goes through all flows that a predicate lets through.
    /// - Parameters:
    ///   - damage: receives each damage, and what was left out, in one sentence with the source's name.
    ///   - flow: returns false to stop.
    /// - Returns: false when it was stopped.
    /// - Throws: errors of reading, of the predicate and of the closures.
    package mutating func forEach(
        where predicate: some FlowPredicate, damage: (String) -> Void, flow: (Flow) throws -> Bool
    ) throws -> Bool {
        func take(_ found: Flow) throws -> Bool { try predicate.matches(found) ? flow(found) : true }
        let isWhole =
            switch format {
            case .mitmproxy: try readMitmproxy(damage, take)
            case .har: try readHAR(damage, take)
            case .pcapng: preconditionFailure("the first bytes of a file select only formats that are read")
            case .warc: try readRecords(WARCFile.self, damage, take)
            case .gor: try readRecords(GorFile.self, damage, take)
            }
        if isWhole { try reportEncryption(damage) }
        return isWhole
    }

    /// Reports what the encryption of a file that was read to its end shows.
    private mutating func reportEncryption(_ damage: (String) -> Void) throws(ArchiveError) {
        for found in input.takeDamage() + [try input.endDamage()].compactMap({ $0 }) {
            isDamaged = true
            damage("\(name): \(found)")
        }
    }

    /// Reads mitmproxy's records up to the end, or to where the next one cannot be found.
    private mutating func readMitmproxy(_ damage: (String) -> Void, _ flow: (Flow) throws -> Bool) throws -> Bool {
        var reader = MitmproxyReader()
        while let beginning = try input.peekUpTo(ForeignFormat.sniffedBytes) {
            let offset = input.offset
            if let beforeFlow, !beforeFlow(input.offset) { return true }
            guard let record = try nextRecord(beginning, damage) else { break }
            do {
                if let found = try reader.read(record, at: offset), try !flow(found) { return false }
            } catch let error as TnetstringError {
                isDamaged = true
                damage("\(name): the record at offset \(offset) cannot be parsed and was skipped: \(error)")
            } catch let error as ForeignError {
                throw ToolError("\(name) \(error)")
            }
            input.skip(record.readableBytes)
        }
        for found in reader.finish() { guard try flow(found) else { return false } }
        tellLeftOut(reader.leftOut, "flows", damage)
        return true
    }

    /// The current record; nil if it cannot be read, which is reported.
    private mutating func nextRecord(_ beginning: ByteBuffer, _ damage: (String) -> Void) throws -> ByteBuffer? {
        let offset = input.offset
        var length: Int?
        do throws(TnetstringError) {
            length = try Tnetstring.length(at: beginning, offset: offset)
        } catch {
            isDamaged = true
            damage("\(name): damaged at offset \(offset): no record begins there; what follows is not read")
            return nil
        }
        guard (length ?? 0) <= MitmproxyReader.maximumRecord else {
            isDamaged = true
            damage("\(name): damaged at offset \(offset): a record of \(length ?? 0) bytes is too long; what follows is not read")
            return nil
        }
        guard let length, try input.has(length), let record = try input.peek(length) else {
            isDamaged = true
            damage("\(name): the file ends in the middle of a record at offset \(offset); the bytes from there on are not used")
            return nil
        }
        // A flow is a dictionary. With another tag at its end the length is wrong, and where the next record begins is not known.
        guard record.readableBytesView.last == Tnetstring.Tag.dictionary.rawValue else {
            isDamaged = true
            damage("\(name): damaged at offset \(offset): no flow ends where this one should; what follows is not read")
            return nil
        }
        return record
    }

    /// Reads a HAR file, whose text is in memory as a whole.
    private mutating func readHAR(_ damage: (String) -> Void, _ flow: (Flow) throws -> Bool) throws -> Bool {
        guard let bytes = try input.rest(maximum: HARReader.maximumSize) else {
            throw ToolError("\(name) is a HAR file of more than \(HARReader.maximumSize >> 20) MiB, which is too long to read")
        }
        var reader: HARReader
        do throws(ForeignError) {
            reader = try HARReader(bytes)
        } catch {
            throw ToolError("\(name) \(error)")
        }
        while true {
            if let beforeFlow, !beforeFlow(input.offset) { return true }
            do {
                guard let found = try reader.next() else { break }
                if try !flow(found) { return false }
            } catch let error as HAREntryError {
                isDamaged = true
                damage("\(name): \(error)")
            }
        }
        tellLeftOut(reader.leftOut, "entries", damage)
        if reader.untimed > 0 {
            damage("\(name): entries without a time that can be read: \(reader.untimed); each has the time of the entry before it")
        }
        return true
    }

    /// Reads a file of records.
    private mutating func readRecords<File: RecordFile>(
        _ type: File.Type, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        let beginning = try input.peekUpTo(ForeignFormat.sniffedBytes) ?? ByteBuffer()
        var file = File(isCompressed: beginning.readableBytesView.starts(with: gzipMagic))
        var isOver = false
        while true {
            while let item = file.next() {
                if let beforeFlow, !beforeFlow(input.offset) { return true }
                switch item {
                case .damage(let sentence):
                    isDamaged = true
                    damage("\(name): \(sentence)")
                case .flows(let flows):
                    for one in flows { guard try flow(one) else { return false } }
                }
            }
            if isOver { break }
            if let bytes = try input.peekUpTo(Self.piece) {
                file.receive(bytes)
                input.skip(bytes.readableBytes)
            } else {
                isOver = true
                file.end()
            }
        }
        for found in file.finish() { guard try flow(found) else { return false } }
        tellLeftOut(file.leftOut, "records", damage)
        return true
    }

    private func tellLeftOut(_ counts: [String: Int], _ noun: String, _ damage: (String) -> Void) {
        guard !counts.isEmpty else { return }
        let kinds = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key.isEmpty ? "without a scheme" : $0.key)" }
        damage("\(name): left out, since a recording has no place for them: \(kinds.joined(separator: ", ")) \(noun)")
    }
}
