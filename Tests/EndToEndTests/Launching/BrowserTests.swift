// Browsers, by a program in their place that writes down how it was started. tools/test-foreign starts real ones.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Browsers")
struct BrowserTests {
    /// A directory `bin` with programs of browsers' names, and a certutil that takes everything.
    private func withBrowsers(_ names: [String], _ body: (_ directory: String) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let script = """
                mkdir bin tmp; printf '#!/bin/sh\\nexit 0\\n' > bin/certutil; chmod +x bin/certutil
                cat > bin/browser <<'END'
                #!/bin/sh
                PATH=/usr/bin:/bin
                for argument; do echo "$argument"; done
                for argument; do case $argument in --user-data-dir=*) profile=${argument#*=};; --no-remote) profile=$3;; esac; done
                echo "mode $(stat -c %a "$profile")"
                [ -f "$profile/user.js" ] && grep -E 'proxy|http3' "$profile/user.js"
                mkdir "$profile/cache"; echo "broken" >&2
                exit ${BROWSER_STATUS:-0}
                END
                chmod +x bin/browser; for name in \(names.joined(separator: " ")); do ln bin/browser bin/$name; done
                """
            #expect(try run("bash", ["-ec", script], in: directory).errors == "")
            try body(directory)
        }
    }

    private func start(_ arguments: [String], status: Int = 0, in directory: String) throws -> ProgramResult {
        // The machine's own browsers are not to be found.
        let path = "PATH=\(directory)/bin"
        let environment = ["-i", path, "HOME=\(directory)", "TMPDIR=\(directory)/tmp", "BROWSER_STATUS=\(status)"]
        let result = try run(
            "env", environment + [toolDirectory + "/mitm-record", "-w", "none", "--confdir", "conf"] + arguments, in: directory)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/tmp") == [])
        return result
    }

    /// Replaces what differs in each run.
    private func normalized(_ output: String) -> [String] {
        output.replacing(#/127\.0\.0\.1:\d+/#, with: "PROXY").replacing(#/_port", \d+/#, with: "_port\", PORT")
            .replacing(#//[^ ]*/tmp/mitm-browser-\w{6}/#, with: "PROFILE").split(separator: "\n").map(String.init)
    }

    @Test("Chromium gets a fresh profile, the proxy for every host, a pin on the authority's key, and the user's arguments")
    func chromium() throws {
        try withBrowsers(["chromium"]) { directory in
            let result = try start(["-q", "--browser=chromium", "https://a.example/", "--", "--headless=new"], in: directory)
            #expect(result.status == 0 && result.errors == "")
            let lines = normalized(result.output)
            let digest =
                "openssl x509 -in conf/mitm-ca-cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary"
            let pin = try run("sh", ["-c", digest + " | base64 -w0"], in: directory).output
            #expect(
                Array(lines.prefix(6)) == [
                    "--user-data-dir=PROFILE", "--proxy-server=PROXY", "--proxy-bypass-list=<-loopback>",
                    "--ignore-certificate-errors-spki-list=\(pin)", "--disable-quic", "--test-type",
                ])
            #expect(Array(lines.suffix(3)) == ["--headless=new", "https://a.example/", "mode 700"])
        }
    }

    @Test("Firefox gets a fresh profile with the proxy for every host")
    func firefox() throws {
        try withBrowsers(["firefox-esr"]) { directory in
            let result = try start(["-q", "--browser=firefox", "https://a.example/", "--", "--headless"], in: directory)
            #expect(
                normalized(result.output) == [
                    "--no-remote", "--profile", "PROFILE", "--headless", "https://a.example/", "mode 700",
                    #"user_pref("network.proxy.type", 1);"#, #"user_pref("network.proxy.http", "127.0.0.1");"#,
                    #"user_pref("network.proxy.http_port", PORT);"#, #"user_pref("network.proxy.ssl", "127.0.0.1");"#,
                    #"user_pref("network.proxy.ssl_port", PORT);"#, #"user_pref("network.proxy.no_proxies_on", "");"#,
                    #"user_pref("network.proxy.allow_hijacking_localhost", true);"#,
                    #"user_pref("network.proxy.failover_direct", false);"#, #"user_pref("network.http.http3.enable", false);"#,
                ])
        }
    }

    @Test(
        "Which browser is started: the first that is installed, or the one that is named; Brave without a flag that it does not take",
        arguments: [
            (["google-chrome", "firefox"], ["--browser"], "--test-type", ["about:blank"]),
            (
                ["firefox"], ["--browser", "https://a.example/", "http://b.example/"], "--no-remote",
                ["https://a.example/", "http://b.example/"]
            ),
            (["firefox", "chromium"], ["--browser=firefox", "https://a.example/"], "--no-remote", ["https://a.example/"]),
            (["chromium", "firefox"], ["--browser=firefox"], "--no-remote", ["about:blank"]),
            (["firefox"], ["--browser=bin/browser"], "--test-type", ["about:blank"]),
            (["brave-browser"], ["--browser", "--", "--x"], "--disable-quic", ["--x", "about:blank"]),
        ] as [([String], [String], String, [String])])
    func choice(installed: [String], arguments: [String], flag: String, last: [String]) throws {
        try withBrowsers(installed) { directory in
            let result = try start(["-q"] + arguments, in: directory)
            let lines = normalized(result.output)
            #expect(result.status == 0 && lines.contains(flag), "\(result)")
            #expect(lines.contains("--test-type") == (flag == "--test-type"))
            #expect(Array(lines[..<(lines.firstIndex(of: "mode 700") ?? 0)].suffix(last.count)) == last)
        }
    }

    @Test("A browser that fails is reported with the end of its stderr, and its status is the recorder's")
    func failure() throws {
        try withBrowsers(["chromium"]) { directory in
            let result = try start(["-q", "--browser"], status: 21, in: directory)
            #expect(result.status == 21)
            #expect(result.errors == "mitm-record: chromium ended with status 21: broken\n")
        }
    }

    @Test(
        "What cannot be started is one sentence, with status 125",
        arguments: [
            (
                ["--browser"],
                "no browser: none of chromium, chromium-browser, google-chrome, brave-browser, firefox, firefox-esr is installed; give the path of one with --browser=PATH"
            ),
            (["--browser=opera"], "no browser: 'opera' is not a program; give the path of one with --browser=PATH"),
            (
                ["--browser=bin/browser", "~d example"],
                "'~d example' is not a URL such as https://example.org/; write --browser=PROGRAM for a browser, -f for a filter"
            ),
            (
                ["--browser", "firefox"],
                "'firefox' is not a URL such as https://example.org/; write --browser=PROGRAM for a browser, -f for a filter"
            ),
            (["--browser=bin/browser", "--mode", "socks5"], "a browser needs a forward proxy: --mode regular or upstream"),
        ])
    func refusal(arguments: [String], message: String) throws {
        try withBrowsers([]) { directory in
            // The machine's own browsers are not to be found.
            let environment = ["-i", "PATH=\(directory)/bin", "TMPDIR=\(directory)/tmp"]
            let command = [toolDirectory + "/mitm-record", "-q", "-w", "none", "--confdir", "conf"] + arguments
            let result = try run("env", environment + command, in: directory)
            #expect(result == ProgramResult(status: 125, output: "", errors: "mitm-record: \(message)\n"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/tmp") == [])
        }
    }
}
