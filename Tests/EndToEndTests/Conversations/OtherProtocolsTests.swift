// Servers that do not speak HTTP, through the recorder with their own clients: redis, PostgreSQL with TLS that begins in the middle, ssh.
// Each works as it does directly, and is recorded as a stream of bytes. At the end, what a chain of proxies refuses.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Other protocols")
struct OtherProtocolsTests {
    private static func start(_ arguments: [String], in directory: String, file: String = "capture.mflow") throws -> Recorder {
        let recorder = try Recorder(arguments, in: directory, file: file)
        recorder.program.collectErrors()
        return recorder
    }

    /// What one side said in a recorded stream, joined.
    private static func said(_ flow: JSONObject, by side: String) -> String {
        (0..<flow.count("tcp.messages")).filter { flow["tcp.messages.\($0).from"] == side }
            .compactMap { flow["tcp.messages.\($0).text"] }.joined()
    }

    @Test("redis-cli gets what it gets directly")
    func redis() throws {
        try withTemporaryDirectory { directory in
            let port = try Nginx.freePort()
            let server = try RunningProgram(
                "bash", ["-c", "exec redis-server --bind 127.0.0.1 --port \(port) --save '' --appendonly no >&2"], in: directory)
            try #require(server.errorLine(containing: "Ready to accept connections") != nil)
            server.collectErrors()
            let recorder = try Self.start(["--mode", "reverse:tcp://127.0.0.1:\(port)"], in: directory)
            let large = String(repeating: "0123456789", count: 30_000)
            let commands =
                "FLUSHALL\nSET greeting hello\nGET greeting\nINCR count\nHSET hash a 1 b 2\nHGETALL hash\nSET large \(large)\n"
            func ask(_ port: Int) throws -> String {
                let input = Data((commands + "GET large\nNOSUCH\n").utf8)
                let result = try run("redis-cli", ["-h", "127.0.0.1", "-p", "\(port)"], input: input, in: directory)
                #expect(result.status == 0)
                return result.output
            }
            let expected = try ask(port)
            let actual = try ask(recorder.port)
            #expect(actual == expected)
            #expect(actual.contains("hello\n1\n2\na\n1\nb\n2\nOK\n" + large))
            #expect(recorder.stop() == 0)
            server.send(SIGKILL)
            _ = server.waitForEnd()
            let flows = try recorder.flows()
            #expect(flows.map { "\($0["kind"] ?? "") \($0["state"] ?? "")" } == ["tcp complete"])
            let flow = try #require(flows.first)
            #expect(Self.said(flow, by: "client").contains("$3\r\nSET\r\n$8\r\ngreeting\r\n$5\r\nhello\r\n"))
            #expect(Self.said(flow, by: "server").contains("$300000\r\n" + large + "\r\n"))
        }
    }

    @Test("psql verifies our certificate behind PostgreSQL's own request for TLS, and its queries are recorded")
    func postgreSQL() throws {
        try withTemporaryDirectory { directory in
            let server = try PostgreSQL(in: directory)
            let recorder = try Self.start(
                ["--mode", "reverse:tcp://localhost:\(server.port)", "--ca-file", "cert.pem"], in: directory)
            func ask(_ port: Int, trusting authority: String, binding: String = "disable") throws -> ProgramResult {
                let connection =
                    "host=localhost port=\(port) user=keeper password=secret dbname=postgres sslmode=verify-full "
                    + "sslrootcert=\(authority) channel_binding=\(binding)"
                let query = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid(); SELECT repeat('row ', 50000)"
                return try run("psql", ["-X", "-A", "-t", "-d", connection, "-c", query], in: directory)
            }
            let expected = try ask(server.port, trusting: server.authority)
            let actual = try ask(recorder.port, trusting: recorder.authority)
            #expect(actual == expected)
            #expect(actual.status == 0)
            #expect(actual.output.hasPrefix("t|TLSv1.3\nrow row "))
            // A client that binds its password to the server's certificate notices that it is ours.
            let bound = try ask(recorder.port, trusting: recorder.authority, binding: "require")
            #expect(bound.status == 2)
            #expect(recorder.stop() == 0)
            try server.stop()
            let flows = try recorder.flows()
            let flow = try #require(flows.first)
            #expect("\(flow["kind"] ?? "") \(flow["state"] ?? "")" == "tcp complete")
            #expect(flow["client.tls.version"] == "TLSv1.3")
            #expect(flow["server.tls.version"] == "TLSv1.3")
            let query = "~bq 'SELECT ssl, version FROM pg_stat_ssl' & ~bs SCRAM-SHA-256"
            #expect(try run("mitm-filter", ["--count", query, "capture.mflow"], in: directory).output == "1\n")
        }
    }

    @Test("ssh through SOCKS reaches the server whose key it knows; its banner and its ciphertext are recorded")
    func ssh() throws {
        try withTemporaryDirectory { directory in
            let server = try SecureShell(in: directory)
            let recorder = try Self.start(["--mode", "socks5"], in: directory)
            let content = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            func ask(_ options: [String]) throws -> ProgramResult {
                try run(
                    "ssh", server.options + options + ["127.0.0.1", "sha256sum; echo from \"$SSH_CONNECTION\" | cut -c1-14"],
                    input: content, in: directory)
            }
            let expected = try ask([])
            let actual = try ask(["-o", "ProxyCommand=nc -X 5 -x 127.0.0.1:\(recorder.port) %h %p"])
            #expect(actual == expected)
            #expect(actual.status == 0)
            #expect(actual.output.hasSuffix("  -\nfrom 127.0.0.1\n"))
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            // ssh ends nc by a signal, perhaps before it has read all: whether by FIN or by reset is theirs.
            #expect(flows.map { $0["kind"] } == ["tcp"])
            let banners = "~bq '^SSH-2.0-OpenSSH' & ~bs '^SSH-2.0-OpenSSH'"
            #expect(try run("mitm-filter", ["--count", banners, "capture.mflow"], in: directory).output == "1\n")
        }
    }

    @Test("Wrong credentials end where they are wrong: at us, or at the proxy behind us")
    func wrongCredentials() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory)
            try "mine".write(toFile: directory + "/www/a.txt", atomically: true, encoding: .utf8)
            let far = try Self.start(["--mode", "socks5", "--proxyauth", "u:p", "--insecure"], in: directory, file: "far.mflow")
            /// What curl gets through a recorder: the status of the response, that of CONNECT, and its own.
            func ask(_ arguments: [String], _ url: String, through near: Recorder) throws -> String {
                let options = [
                    "-s", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{http_connect}", "--cacert", near.authority,
                ]
                let result = try run("curl", options + arguments + [url], in: directory)
                return result.output + " \(result.status)"
            }
            let plain = "http://127.0.0.1:\(nginx.http)/a.txt"
            let secure = "https://localhost:\(nginx.https)/a.txt"
            let wrong = try Self.start(
                ["--mode", "upstream:socks5://u:wrong@127.0.0.1:\(far.port)", "--proxyauth", "me:mine"], in: directory,
                file: "wrong.mflow")
            let right = try Self.start(
                ["--mode", "upstream:socks5://u:p@127.0.0.1:\(far.port)", "--proxyauth", "me:mine", "--insecure"], in: directory)
            let port = wrong.port
            // 56: CURLE_RECV_ERROR, that CONNECT was refused; 97: CURLE_PROXY.
            #expect(try ask(["-x", "http://me:no@127.0.0.1:\(port)"], secure, through: wrong) == "000 407 56")
            #expect(try ask(["-x", "http://me:mine@127.0.0.1:\(port)"], secure, through: wrong) == "000 502 56")
            #expect(try ask(["-x", "http://me:mine@127.0.0.1:\(port)"], plain, through: wrong) == "502 000 0")
            #expect(try ask(["--socks5-hostname", "u:no@127.0.0.1:\(far.port)"], secure, through: far) == "000 000 97")
            #expect(try ask(["-x", "socks5h://u:p@127.0.0.1:\(far.port)"], secure, through: far) == "200 000 0")
            #expect(try ask(["-x", "http://me:mine@127.0.0.1:\(right.port)"], secure, through: right) == "200 200 0")
            for recorder in [wrong, right, far] { #expect(recorder.stop() == 0) }
            let refused = try wrong.flows("wrong.mflow")
            #expect(refused.map { $0["state"] } == ["failed", "failed", "failed"])
            #expect(refused.first?["error.message"] == "the proxy wants a user name and a password")
            #expect(
                try far.flows("far.mflow").filter { $0["state"] == "complete" }.map { $0["response.status"] } == ["200", "200"])
        }
    }
}

/// A PostgreSQL server that asks for a password, on a free port, with TLS and a certificate for localhost.
private final class PostgreSQL {
    let port: Int
    let authority: String
    private let directory: String
    private let program: RunningProgram

    init(in directory: String) throws {
        self.directory = directory
        port = try Nginx.freePort()
        authority = directory + "/cert.pem"
        // It does not run as root, and takes no key that others may read.
        let script = """
            set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out cert.pem -days 2 \
              -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>&1
            mkdir data; echo secret > password; chmod 600 server.key
            if [ "$(id -u)" = 0 ]; then chmod 755 .; chown postgres data server.key password; fi
            \(Self.asUser("initdb")) -D data -U keeper --auth=scram-sha-256 --pwfile=password --no-sync --locale=C --encoding=UTF8
            """
        let made = try run("bash", ["-c", script], in: directory)
        guard made.status == 0 else { throw TestFailure("no database: \(made.output) \(made.errors)") }
        let settings = [
            "listen_addresses=127.0.0.1", "unix_socket_directories=", "ssl=on", "ssl_cert_file=\(authority)",
            "ssl_key_file=\(directory)/server.key", "fsync=off",
        ]
        let options = settings.map { "-c '\($0)'" }.joined(separator: " ")
        program = try RunningProgram(
            "bash", ["-c", "exec \(Self.asUser("postgres")) -D data -p \(port) \(options)"], in: directory)
        guard program.errorLine(containing: "database system is ready to accept connections") != nil else {
            throw TestFailure("PostgreSQL did not start: \(program.errors)")
        }
        program.collectErrors()
    }

    /// A program of the server, which Debian keeps from the PATH, as a user other than root.
    private static func asUser(_ name: String) -> String {
        (getuid() == 0 ? becomingUser + " " : "") + "\"$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)/\(name)\""
    }

    private static let becomingUser: String = {
        let command = "setpriv --reuid postgres --regid postgres --init-groups"
        let isLetIn = (try? run("bash", ["-c", "\(command) test -x /usr/lib/postgresql"], in: "/").status) == 0
        // A user who is not let into the directories above keeps root's right to pass, for access(2) too, which initdb asks.
        return isLetIn ? command : command + " --inh-caps +dac_override --ambient-caps +dac_override --securebits +no_setuid_fixup"
    }()

    func stop() throws {
        _ = try run("bash", ["-c", "\(Self.asUser("pg_ctl")) -D data -m fast -w stop"], in: directory)
        _ = program.waitForEnd()
    }
}

/// An OpenSSH server on a free port with a key of its own, and a user's key that it takes.
private final class SecureShell {
    /// What a client needs to know.
    let options: [String]
    private let program: RunningProgram

    init(in directory: String) throws {
        let port = try Nginx.freePort()
        let script = """
            set -e
            ssh-keygen -q -t ed25519 -N '' -f host
            ssh-keygen -q -t ed25519 -N '' -f user
            echo "[127.0.0.1]:\(port) $(cut -d' ' -f1,2 host.pub)" > known
            if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi
            """
        let made = try run("bash", ["-c", script], in: directory)
        guard made.status == 0 else { throw TestFailure("no keys: \(made.errors)") }
        let configuration = """
            ListenAddress 127.0.0.1:\(port)
            HostKey \(directory)/host
            AuthorizedKeysFile \(directory)/user.pub
            PidFile none
            PermitRootLogin yes
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            UsePAM no
            StrictModes no

            """
        try configuration.write(toFile: directory + "/sshd_config", atomically: true, encoding: .utf8)
        // Foundation takes a program for ended that closes what it inherited, as sshd does, so a shell stands between, which it does not outlive.
        program = try RunningProgram(
            "bash", ["-c", "setpriv --pdeathsig KILL /usr/sbin/sshd -D -e -f '\(directory)/sshd_config' & wait"], in: directory)
        guard program.errorLine(containing: "Server listening on ") != nil else {
            throw TestFailure("sshd did not start: \(program.errors)")
        }
        program.collectErrors()
        options = [
            "-F", "none", "-i", directory + "/user", "-p", "\(port)", "-o", "UserKnownHostsFile=\(directory)/known", "-o",
            "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
        ]
    }

    deinit {
        program.send(SIGKILL)
        _ = program.waitForEnd()
    }
}
