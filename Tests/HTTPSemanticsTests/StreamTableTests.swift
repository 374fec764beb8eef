import HTTPSemantics
import Testing

@Suite("A table by stream")
struct StreamTableTests {
    @Test("It holds what a dictionary holds, whatever is stored and removed", arguments: [1, 2, 3, 4])
    func likeADictionary(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        func random(_ limit: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % limit
        }
        var table = StreamTable<UInt64>()
        var expected: [UInt32: UInt64] = [:]
        for step in 0..<4000 {
            // Numbers that collide in small tables are among them.
            let stream = UInt32(random(40) * (random(3) == 0 ? 16 : 1))
            if random(3) == 0 {
                #expect(table.remove(StreamID(stream)) == expected.removeValue(forKey: stream))
            } else {
                table[StreamID(stream)] = UInt64(step)
                expected[stream] = UInt64(step)
            }
            guard step % 50 == 0 else { continue }
            #expect(table.count == expected.count)
            #expect(table.inOrder == expected.sorted { $0.key < $1.key }.map(\.value))
            #expect((0..<640).map { table[StreamID($0)] } == (0..<640).map { expected[$0] })
        }
        for stream in expected.keys { table[StreamID(stream)] = nil }
        #expect(table.isEmpty && table.inOrder.isEmpty)
    }
}
