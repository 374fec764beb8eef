// Flow files of mitmproxy and HAR files as inputs of a tool: how their bytes come to the readers, and what is told of damage.

import FlowArchive
import FlowModel
import ForeignArchives
import NIOCore

extension ArchiveSequence {
    /// Reads mitmproxy's records up to the end, or to where the next one cannot be found.
    /// - Returns: false when `flow` wants no more.
    mutating func readMitmproxy(
        _ input: ArchiveInput, _ name: String, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        var reader = MitmproxyReader()
        while let beginning = try input.peekUpTo(ForeignFormat.sniffedBytes) {
            let offset = input.offset
            guard let record = try nextRecord(input, beginning, name, damage) else { break }
            do {
                if let found = try reader.read(record, at: offset), try predicate.matches(found), try !flow(found) { return false }
            } catch let error as TnetstringError {
                isDamaged = true
                damage("\(name): the record at offset \(offset) cannot be understood and was passed over: \(error)")
            } catch let error as ForeignError {
                throw ToolError("\(name) \(error)")
            }
            input.skip(record.readableBytes)
        }
        for found in reader.finish() where try predicate.matches(found) {
            guard try flow(found) else { return false }
        }
        tellLeftOut(reader.leftOut, "flows", name, damage)
        return true
    }

    /// The record at hand; nil when there is none that could be read, which is told.
    private mutating func nextRecord(
        _ input: ArchiveInput, _ beginning: ByteBuffer, _ name: String, _ damage: (String) -> Void
    ) throws -> ByteBuffer? {
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

    /// Reads a HAR file, which is in memory as a whole.
    /// - Returns: false when `flow` wants no more.
    mutating func readHAR(
        _ input: ArchiveInput, _ name: String, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
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
            do {
                guard let found = try reader.next() else { break }
                if try predicate.matches(found), try !flow(found) { return false }
            } catch let error as HAREntryError {
                isDamaged = true
                damage("\(name): \(error); it was passed over")
            }
        }
        tellLeftOut(reader.leftOut, "entries", name, damage)
        return true
    }

    private func tellLeftOut(_ counts: [String: Int], _ noun: String, _ name: String, _ damage: (String) -> Void) {
        guard !counts.isEmpty else { return }
        let kinds = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        damage("\(name): left out, since a recording has no place for them: \(kinds.joined(separator: ", ")) \(noun)")
    }
}
