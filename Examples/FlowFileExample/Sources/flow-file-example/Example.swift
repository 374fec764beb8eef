// Prints the flows of a flow file, and writes one.

import FlowFile

@main
enum Example {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, arguments.count) {
        case ("print", 2): try printFlows(of: CommandLine.arguments[2], where: nil)
        case ("print", 3): try printFlows(of: CommandLine.arguments[2], where: Filter(CommandLine.arguments[3]))
        case ("write", 2): try writeFlows(to: CommandLine.arguments[2])
        default: print("usage: flow-file-example print FILE [FILTER] | write FILE")
        }
    }

    static func printFlows(of path: String, where filter: Filter?) throws {
        let reader = try FlowFileReader(path: path, where: filter)
        while let flow = try reader.next() {
            switch flow.kind {
            case .http: try printExchange(flow)
            case .tcp, .tls: print("\(flow.kind) \(flow.host):\(flow.port)\(flow.failure.map { ": \($0.message)" } ?? "")")
            }
            try printData(of: flow)
        }
        for damage in reader.damage { print(damage) }
    }

    static func printExchange(_ flow: Flow) throws {
        print("\(flow.request?.method ?? "-") \(flow.url ?? flow.host): \(flow.response?.status ?? 0)")
        for (name, value) in flow.response?.headers.pairs ?? [] { print("  \(name): \(value)") }
        if flow.response?.headers.first("content-type")?.hasPrefix("text/") == true {
            print("  \(String(decoding: try flow.decodedContent(from: .server), as: UTF8.self))")
        }
    }

    /// WebSocket messages and bytes of TCP streams.
    static func printData(of flow: Flow) throws {
        guard flow.isWebSocket || flow.kind == .tcp else { return }
        var data = flow.data
        while let element = try data.next() { print("  \(element.side) sent \(element.kind), \(element.count) bytes") }
    }

    static func writeFlows(to path: String) throws {
        let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        let writer = try FlowFileWriter(path: path, existing: .replace)
        try writer.write(
            Flow(
                Request(method: "GET", target: "/hello", headers: ["Host": "www.example.com"]),
                Response(status: 200, reason: "OK", headers: ["Content-Type": "text/plain"]), responseContent: Array("Hello!".utf8),
                scheme: "https", host: "www.example.com", started: start, ended: start + .milliseconds(20)))
        var stream = Flow(
            tcp: [
                FlowData(from: .client, Array("PING\r\n".utf8), at: start),
                FlowData(from: .server, Array("+PONG\r\n".utf8), at: start + .milliseconds(1)),
            ], host: "redis.example.com", port: 6379, started: start, ended: start + .milliseconds(2))
        stream.comment = "made by the example"
        try writer.write(stream)
        try writer.close()
    }
}
