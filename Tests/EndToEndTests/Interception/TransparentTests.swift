// Mode transparent with a real packet filter, in network namespaces of its own: Tests/Peers/transparent.sh makes them.

import Foundation
import TestSupport
import Testing

@Suite("Mode transparent")
struct TransparentTests {
    private static let script = peerScript("transparent.sh")

    /// Why the system does not let us make namespaces and redirect in them; nil when it does.
    private static let obstacle: String? = {
        guard let tried = try? run("bash", [script]) else { return "there is no bash" }
        return tried.status == 0 ? nil : tried.errors.trimmingCharacters(in: .newlines)
    }()

    @Test(
        "Redirected connections reach the server that they were for, by IPv4 and IPv6, plain and in TLS; one to the recorder itself is refused",
        .enabled(if: obstacle == nil, Comment(rawValue: obstacle ?? "")))
    func redirected() throws {
        try withTemporaryDirectory { directory in
            try Nginx.makeCertificates(in: directory)
            let result = try run("bash", [Self.script, directory, toolDirectory], in: directory)
            let loop = "192.168.77.1:8080 is the recorder itself, so the request would go round in circles"
            let answers = [
                "203.0.113.80 80 http", "2001:db8::80 80 http", "203.0.113.80 443 https", "2001:db8::80 443 https", "mitm: \(loop)",
            ]
            #expect(result.output.split(separator: "\n").map(String.init) == answers, "\(result.errors)")
            #expect(result.status == 0)
            let text = try run("mitm-dump", ["--format", "json", "capture.mflow"], in: directory).output
            let flows = try JSONObject.lines(text).map { flow in
                [flow["mode"], flow["server.address"], flow["request.url"], flow["response.body.text"], flow["error.message"]]
            }
            #expect(
                flows == [
                    ["transparent", "203.0.113.80:80", "http://203.0.113.80/", answers[0], nil],
                    ["transparent", "[2001:db8::80]:80", "http://[2001:db8::80]/", answers[1], nil],
                    ["transparent", "203.0.113.80:443", "https://localhost/", answers[2], nil],
                    ["transparent", "[2001:db8::80]:443", "https://localhost/", answers[3], nil],
                    ["transparent", nil, "http://192.168.77.1:8080/", nil, loop],
                ])
        }
    }
}
