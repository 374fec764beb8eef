// Writes a flow file of generated traffic for the benchmarks. The same seed gives the same file.
//
// usage: flow-generator [--uncoded] FLOWS FILE [SEED]

import BenchmarkTraffic
import FlowArchive
import Foundation

@main
struct FlowGenerator {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst().filter { !$0.hasPrefix("--") }
        guard arguments.count >= 2, let count = Int(arguments[0]) else {
            print("usage: flow-generator [--uncoded] FLOWS FILE [SEED]\n\n--uncoded  no body has a content coding")
            exit(2)
        }
        let seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
        var traffic = Traffic(seed: seed, isUncoded: CommandLine.arguments.contains("--uncoded"))
        let storage = try POSIXStorage.open(path: arguments[1], truncates: true)
        let writer = try ArchiveWriter(storage: storage, now: Traffic.start)
        for _ in 0..<count { try writer.append(contentsOf: traffic.next()) }
        try writer.close()
    }
}
