import NIOCore
import TestSupport
import Testing

@testable import Protobuf

@Suite("Descriptors")
struct DescriptorTests {
    @Test("A descriptor set has messages, enums, methods and extensions")
    func set() throws {
        let types = try fixtureTypes("shop", "legacy")
        let item = try #require(types.message("shop.v1.Item"))
        #expect(
            item[3]
                == FieldType(
                    number: 3, name: "packed", jsonName: "packed", kind: .sint64, isRepeated: true, isDelimited: false,
                    isGroup: false,
                    oneof: nil))
        #expect(item["other-name"]?.number == 13)
        #expect(item[10]?.messageName == "shop.v1.Item.CountsEntry")
        #expect(types.message("shop.v1.Item.CountsEntry")?.isMapEntry == true)
        #expect(types.enumeration("shop.v1.Colour")?[-1] == "COLOUR_NEGATIVE")
        #expect(types.method("shop.v1.Shop/Watch") == MethodType(input: "shop.v1.Item", output: "shop.v1.Order"))
        #expect(types.message("google.protobuf.Timestamp")?[1]?.kind == .int64)
        let old = try #require(types.message("legacy.Old"))
        #expect(types.field(100, of: old)?.name == "[legacy.note]")
        #expect(types.field(102, of: old)?.kind == .message("legacy.Scope"))
        #expect(old[5]?.isGroup == true)
        #expect(types.message("legacy.Old.Address.Line")?[1]?.kind == .uint64)
        #expect(types.hasField("street"))
        #expect(!types.hasField("avenue"))
    }

    @Test("The features of an edition are inherited and overridden")
    func features() throws {
        let node = try #require(try fixtureTypes("edition").message("modern.Node"))
        #expect([2, 3, 6].map { node[$0]?.isDelimited } == [true, false, true])
        #expect(node[2]?.isGroup == false)
    }

    @Test("What is not a descriptor set is refused, and adds nothing")
    func refused() throws {
        var types = ProtobufTypes()
        for text in ["", "syntax = \"proto3\";\n", "\u{8}\u{1}"] {
            #expect(throws: DescriptorError()) { try types.add(descriptorSet: ByteBuffer(string: text)) }
        }
        let set = try fixture("legacy.pb")
        #expect(throws: DescriptorError()) { try types.add(descriptorSet: set.getSlice(at: 0, length: 300)!) }
        #expect(types.isEmpty)
    }

    @Test("Damaged descriptors never trap, nor messages read by them", arguments: 0..<200 as Range<UInt64>)
    func damaged(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var set = try fixture(["shop.pb", "legacy.pb", "edition.pb"].randomElement(using: &generator)!)
        for _ in 0..<Int.random(in: 1..<8, using: &generator) {
            set.setInteger(
                UInt8.random(in: 0...255, using: &generator), at: Int.random(in: 0..<set.readableBytes, using: &generator))
        }
        var types = ProtobufTypes()
        try? types.add(descriptorSet: set)
        let content = ByteBuffer(bytes: (0..<100).map { _ in UInt8.random(in: 0...127, using: &generator) })
        for name in ["shop.v1.Item", "shop.v1.Order", "legacy.Old", "modern.Node"] {
            guard let type = types.message(name) else { continue }
            var decoder = ProtobufDecoder(types)
            _ = decoder.decode(content, as: type)
            _ = decoder.decode(set, as: type)
        }
    }

    @Test("Messages nested too deeply are refused")
    func deep() throws {
        var nested = ByteBuffer(bytes: [0x0A, 1, 0x61])
        for _ in 0..<150 {
            var outer = ByteBuffer(bytes: [0x1A])
            var length = nested.readableBytes
            while length > 127 {
                outer.writeInteger(UInt8(length & 127 | 128))
                length >>= 7
            }
            outer.writeInteger(UInt8(length))
            outer.writeImmutableBuffer(nested)
            nested = outer
        }
        nested.setInteger(UInt8(0x22), at: 0)
        var types = ProtobufTypes()
        #expect(throws: DescriptorError()) { try types.add(fileDescriptor: nested) }
    }
}
