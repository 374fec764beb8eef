// Measures single parts of the tools alone, in memory and on one thread. Prints a line `name  value unit` for each figure: the median of
// several rounds. Compare figures of one machine before and after a change, not figures of two machines.
//
// usage: micro-benchmarks [GROUP ...]

import Foundation

@main
struct MicroBenchmarks {
    private static let groups: [(name: String, run: @Sendable (inout Results) throws -> Void)] = [
        ("http1", measureHTTP1), ("websocket", measureWebSocket), ("tls", measureTLS), ("http2", measureHTTP2),
        ("archive", measureArchive), ("redaction", measureRedaction),
    ]

    static func main() throws {
        let chosen = CommandLine.arguments.dropFirst()
        if let unknown = chosen.first(where: { name in !groups.contains { $0.name == name } }) {
            let names = groups.map(\.name).joined(separator: ", ")
            FileHandle.standardError.write(Data("micro-benchmarks: there is no group '\(unknown)'; there are \(names)\n".utf8))
            exit(2)
        }
        var results = Results()
        for group in groups where chosen.isEmpty || chosen.contains(group.name) { try group.run(&results) }
    }
}
