// Types and bytes that the tests of the module share.

import Foundation
import NIOCore

@testable import Protobuf

/// The bytes of a file in Fixtures/protobuf.
func fixture(_ name: String) throws -> ByteBuffer {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/protobuf/\(name)")
    return ByteBuffer(bytes: try Data(contentsOf: file))
}

func fixtureTypes(_ names: String...) throws -> ProtobufTypes {
    var types = ProtobufTypes()
    for name in names { try types.add(descriptorSet: try fixture("\(name).pb")) }
    return types
}

func bytes(_ hexadecimal: String) -> ByteBuffer {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return ByteBuffer(bytes: stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
}
