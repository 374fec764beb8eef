// Flows as rows of an Arrow stream. tools/test reads streams with pyarrow too.

import ArrowStream
import FlowModel
import FlowTable
import NIOCore
import TestSupport
import Testing

@Suite("Rows of Arrow")
struct ArrowRowTests {
    private func stream(_ columns: [ArrowColumn], _ flows: [Flow], bodyLimit: UInt64 = ArrowRows.defaultBodyLimit) -> ByteBuffer {
        let rows = ArrowRows(columns, bodyLimit: bodyLimit)
        var out = ByteBuffer()
        rows.begin(into: &out)
        for flow in flows { rows.append(flow, whole: flow, origin: nil, into: &out) }
        rows.finish(into: &out)
        return out
    }

    @Test("The columns are those of tables and the place of a flow, and are only added")
    func names() {
        let names = FlowColumn.allCases.map(\.rawValue) + ["file", "block_offset", "part_count"]
        #expect(ArrowColumn.defaults.map(\.name) == names)
    }

    @Test("A list of columns keeps its order; an unknown name is refused with the nearest one, and so is one that is there twice")
    func lists() throws {
        let columns = try ArrowColumn.list("status, req_body,header:X-A,file,messages")
        #expect(columns.map(\.name) == ["status", "req_body", "header:x-a", "file", "messages"])
        func failure(_ text: String) -> String? {
            do {
                _ = try ArrowColumn.list(text)
                return nil
            } catch { return "\(error)" }
        }
        #expect(failure("hots") == "there is no column 'hots'; did you mean 'host'?")
        #expect(failure("rep_body") == "there is no column 'rep_body'; did you mean 'req_body'?")
        #expect(failure("host,host") == "the column 'host' is there twice; name it once")
        #expect(failure("host,,id") == "'host,,id' has an empty name; write the names with commas between them")
    }

    @Test("A stream ends a batch after 8,192 rows, and earlier when its content is large")
    func batches() throws {
        let flow = TableFlows.exchange.flow
        // A record batch is the message with the header 3; its dictionaries come before it.
        func batches(_ columns: String, _ count: Int) throws -> Int {
            let stream = stream(try ArrowColumn.list(columns), Array(repeating: flow, count: count))
            var rest = stream
            var found = 0
            while rest.readableBytes > 8 {
                let length: UInt32 = try #require(rest.getInteger(at: rest.readerIndex + 4, endianness: .little))
                let root: UInt32 = try #require(rest.getInteger(at: rest.readerIndex + 8, endianness: .little))
                // The table Message begins with its vtable's offset and the length of the body.
                let message = rest.readerIndex + 8 + Int(root)
                let body: Int64 = try #require(rest.getInteger(at: message + 4, endianness: .little))
                let header: UInt8 = try #require(rest.getInteger(at: message + 18))
                if header == 3 { found += 1 }
                rest.moveReaderIndex(forwardBy: 8 + Int(length) + Int(body))
            }
            return found
        }
        #expect(try batches("status", 8192) == 1)
        #expect(try batches("status,id", 8193) == 2)
        #expect(try batches("status", 0) == 0)
    }
}
