// Files of other programs as tests read them.

import FlowModel
import FlowPrinter
import ForeignArchives
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport

/// The bytes of a file in Fixtures/foreign.
func fixture(_ name: String) throws -> ByteBuffer {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return ByteBuffer(bytes: try Data(contentsOf: root.appendingPathComponent("Fixtures/foreign/\(name)")))
}

/// All flows of mitmproxy's records.
func mitmproxyFlows(_ bytes: ByteBuffer, _ reader: inout MitmproxyReader) throws -> [Flow] {
    var flows: [Flow] = []
    var rest = bytes
    var offset: UInt64 = 0
    while rest.readableBytes > 0, let length = try Tnetstring.length(at: rest, offset: offset),
        let record = rest.readSlice(length: length)
    {
        if let flow = try reader.read(record, at: offset) { flows.append(flow) }
        offset += UInt64(length)
    }
    return flows + reader.finish()
}

func mitmproxyFlows(_ bytes: ByteBuffer) throws -> [Flow] {
    var reader = MitmproxyReader()
    return try mitmproxyFlows(bytes, &reader)
}

/// All flows of a HAR file, and the errors of invalid entries.
func harFlows(_ bytes: ByteBuffer) throws -> (flows: [Flow], errors: [HAREntryError]) {
    var reader = try HARReader(bytes)
    var flows: [Flow] = []
    var errors: [HAREntryError] = []
    while true {
        do throws(HAREntryError) {
            guard let flow = try reader.next() else { return (flows, errors) }
            flows.append(flow)
        } catch {
            errors.append(error)
        }
    }
}

/// All flows of a WARC file, damage, and the records that are left out.
func warcFlows(_ bytes: ByteBuffer, pieces: Int = .max) -> (flows: [Flow], damage: [String], leftOut: [String: Int]) {
    flows(of: WARCFile.self, bytes, pieces: pieces)
}

/// The same of a file of GoReplay.
func gorFlows(_ bytes: ByteBuffer, pieces: Int = .max) -> (flows: [Flow], damage: [String], leftOut: [String: Int]) {
    flows(of: GorFile.self, bytes, pieces: pieces)
}

private func flows<File: RecordFile>(
    of type: File.Type, _ bytes: ByteBuffer, pieces: Int
) -> (flows: [Flow], damage: [String], leftOut: [String: Int]) {
    var file = File(isCompressed: bytes.readableBytesView.starts(with: gzipMagic))
    var flows: [Flow] = []
    var damage: [String] = []
    func drain() {
        while let item = file.next() {
            switch item {
            case .damage(let sentence): damage.append(sentence)
            case .flows(let found): flows += found
            }
        }
    }
    var rest = bytes
    while let part = rest.readSlice(length: min(pieces, rest.readableBytes)), part.readableBytes > 0 {
        file.receive(part)
        drain()
    }
    file.end()
    drain()
    return (flows + file.finish(), damage, file.leftOut)
}

/// How many flows are read from 300 copies of a file with random damage.
/// - Parameter read: reads a file in pieces of at most a number of bytes.
func readableFlows(in whole: ByteBuffer, seed: UInt64, read: (ByteBuffer, Int) -> [Flow]) throws -> Int {
    var random = SeededGenerator(seed: seed)
    var readable = 0
    for _ in 0..<300 {
        var bytes = whole
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let at = bytes.readerIndex + Int.random(in: 0..<bytes.readableBytes, using: &random)
            bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: at)
        }
        if Bool.random(using: &random) {
            bytes = bytes.slice(ByteRange(0, Int.random(in: 0..<bytes.readableBytes, using: &random)))
        }
        guard bytes.readableBytes >= 5 else { continue }
        for flow in read(bytes, Int.random(in: 1...2000, using: &random)) {
            readable += 1
            _ = try line(flow)
        }
    }
    return readable
}

/// Everything that is known of a flow, in a line.
func line(_ flow: Flow) throws -> String {
    var out = ByteBuffer()
    try FlowJSONPrinter(rawBody: true).print(flow, into: &out)
    return String(buffer: out)
}
