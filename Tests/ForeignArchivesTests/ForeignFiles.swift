// Files of other programs as tests read them.

import FlowModel
import FlowPrinter
import ForeignArchives
import Foundation
import NIOCore

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

/// Everything that is known of a flow, in a line.
func line(_ flow: Flow) throws -> String {
    var out = ByteBuffer()
    try FlowJSONPrinter(rawBody: true).print(flow, into: &out)
    return String(buffer: out)
}
