import NIOCore
import TestSupport
import Testing

@testable import Protobuf

@Suite("Messages by their types")
struct MessageTests {
    private func decode(_ hexadecimal: String, _ type: String, _ files: String) throws -> ProtobufMessage {
        let types = try fixtureTypes(files)
        var decoder = ProtobufDecoder(types)
        return decoder.decode(bytes(hexadecimal), as: try #require(types.message(type))).message
    }

    @Test("The last value of a field counts, and messages are merged")
    func merging() throws {
        let item = try decode("0a0161 0a0162 42021801 42022802", "shop.v1.Item", "shop")
        #expect(item[1] == [.string(ByteBuffer(string: "b"))])
        guard case .message(let scalars)? = item[8].first else { return #expect(Bool(false)) }
        #expect(scalars[3] == [.int32(1)])
        #expect(scalars[5] == [.uint32(2)])
    }

    @Test("A member of a oneof clears the others")
    func oneof() throws {
        let item = try decode("3a0161 4805 0a0162", "shop.v1.Item", "shop")
        #expect(item.entries.map(\.field.name) == ["number", "name"])
        #expect(item[9] == [.int64(5)])
    }

    @Test("Repeated numbers are read packed and one by one, whatever the type declares")
    func packed() throws {
        let item = try decode("1801 1a020203 2204 01000000 25 02000000", "shop.v1.Item", "shop")
        #expect(item[3] == [.int64(-1), .int64(1), .int64(-2)])
        #expect(item[4] == [.uint32(1), .uint32(2)])
    }

    @Test("The last value of a key counts, and the order stays")
    func maps() throws {
        let item = try decode("5205 0a016110 01 5205 0a0162 1002 5205 0a0161 1003", "shop.v1.Item", "shop")
        let entries = item[10].compactMap { if case .message(let entry) = $0 { [entry[1], entry[2]] } else { nil } }
        #expect(
            entries == [[[.string(ByteBuffer(string: "a"))], [.int32(3)]], [[.string(ByteBuffer(string: "b"))], [.int32(2)]]])
    }

    @Test("What does not fit the type is kept as it is on the wire")
    func unknown() throws {
        let item = try decode("0801 12024869 1a0180 5b08015c 9a0103 414243", "shop.v1.Item", "shop")
        #expect(item.entries.isEmpty)
        #expect(item.unknown.map(\.number) == [1, 2, 3, 11, 1, 11, 19])
    }

    @Test("Groups are read by their types")
    func groups() throws {
        let old = try decode("0805 2b 0a0161 13 0807 14 13 0808 14 2c 2805", "legacy.Old", "legacy")
        guard case .message(let address)? = old[5].first else { return #expect(Bool(false)) }
        #expect(address[1] == [.string(ByteBuffer(string: "a"))])
        #expect(address[2].count == 2)
        #expect(old.unknown.map(\.number) == [5])
    }

    @Test("A message that ends within a field is read up to there")
    func truncated() throws {
        let types = try fixtureTypes("shop")
        var decoder = ProtobufDecoder(types)
        let result = decoder.decode(bytes("0a0161 1005 1a"), as: types.message("shop.v1.Item")!)
        #expect(result.error == .truncated)
        #expect(result.offset == 5)
        #expect(result.rest == bytes("1a"))
        #expect(result.message.entries.map(\.field.name) == ["name", "count"])
    }

    @Test("Fields beyond the bound are left out, of packed ones too")
    func bound() throws {
        let types = try fixtureTypes("legacy")
        var packed = bytes("22c1843d")
        packed.writeRepeatingByte(1, count: 1_000_001)
        var decoder = ProtobufDecoder(types)
        let message = decoder.decode(packed, as: types.message("legacy.Old")!).message
        #expect(decoder.isCut)
        #expect(message[4].count == ProtobufReader.maximumFields)
    }
}

@Suite("A place in messages")
struct ProtobufPathTests {
    private func values(_ path: String, _ hexadecimal: String, _ type: String? = nil) throws -> [ProtobufValue] {
        let types = try fixtureTypes("shop", "legacy")
        var found: [ProtobufValue] = []
        _ = try #require(ProtobufPath(path)).forEachValue(in: bytes(hexadecimal), type.flatMap { types.message($0) }, types) {
            found.append($0)
            return true
        }
        return found
    }

    @Test("Numbers find values without a type")
    func numbers() throws {
        #expect(try values("1", "0805 0806") == [.uint64(5), .uint64(6)])
        #expect(try values("2.1", "1202 0805 1202 0806 0807") == [.uint64(5), .uint64(6)])
        #expect(try values("1", "0d0000803f") == [.float(1)])
        #expect(try values("1.2", "0b 1005 0c 1006") == [.uint64(5)])
        #expect(try values("1.2", "0a0361 6263").isEmpty)
    }

    @Test("Names find values of messages whose types are known")
    func names() throws {
        #expect(try values("packed", "1a020203", "shop.v1.Item") == [.int64(1), .int64(-2)])
        #expect(try values("scalars.aColour", "4203 800102", "shop.v1.Item") == [.enumeration(2, "shop.v1.Colour")])
        #expect(try values("counts.value", "5205 0a016110 07", "shop.v1.Item") == [.int32(7)])
        #expect(try values("8.3", "42021803", "shop.v1.Item") == [.int32(3)])
        #expect(try values("address.Line", "", "legacy.Old").isEmpty)
        #expect(try values("name", "0a0161").isEmpty)
    }

    @Test("Anything else is refused", arguments: ["", "1..2", "0", "1.", "a-b", "536870912", "+1", "1 2"])
    func refused(text: String) { #expect(ProtobufPath(text) == nil) }
}
