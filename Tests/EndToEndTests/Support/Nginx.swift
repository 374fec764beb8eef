// A real nginx, over HTTP and HTTPS, with a certificate authority of its own.

import Foundation
import Glibc

final class Nginx {
    let http: Int
    let https: Int
    /// HTTP/2 without TLS, with prior knowledge.
    let h2c: Int
    let authority: String
    private let program: RunningProgram

    /// Serves the directory's `www`.
    /// - Parameter http2: whether HTTP/2 is offered over TLS, and spoken without on a port of its own.
    init(in directory: String, certificateName: String = "localhost", http2: Bool = false) throws {
        http = try Self.freePort()
        https = try Self.freePort()
        h2c = try Self.freePort()
        authority = directory + "/origin-ca.pem"
        try FileManager.default.createDirectory(atPath: directory + "/www", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: directory + "/nginx", withIntermediateDirectories: true)
        try Self.makeCertificates(in: directory, name: certificateName)
        let configuration = """
            daemon off; pid \(directory)/nginx/pid; error_log stderr notice;
            # One process: killing it leaves nothing behind.
            master_process off;
            events {}
            http {
              access_log off; default_type text/plain; types { application/json json; }
              client_body_temp_path \(directory)/nginx; proxy_temp_path \(directory)/nginx; fastcgi_temp_path \(directory)/nginx;
              uwsgi_temp_path \(directory)/nginx; scgi_temp_path \(directory)/nginx;
              server {
                listen 127.0.0.1:\(http); listen 127.0.0.1:\(https) ssl\(http2 ? " http2" : ""); \(http2 ? "listen 127.0.0.1:\(h2c) http2;" : "")
                ssl_certificate \(directory)/server.pem; ssl_certificate_key \(directory)/server.key;
                root \(directory)/www;
                location /redirect { return 301 /a.json; }
                location /empty { return 204; }
                # It reads the whole request before it asks itself.
                location /length { proxy_pass http://127.0.0.1:\(http)/asked; client_max_body_size 0; }
                location /asked { return 200 "$request_method $http_content_length"; client_max_body_size 0; }
              }
            }
            """
        try configuration.write(toFile: directory + "/nginx.conf", atomically: true, encoding: .utf8)
        program = try RunningProgram("nginx", ["-e", "stderr", "-c", directory + "/nginx.conf"], in: directory)
        guard program.errorLine(containing: "getrlimit(RLIMIT_NOFILE)") != nil else {
            throw TestFailure("nginx did not start: \(program.errors)")
        }
    }

    deinit {
        program.send(SIGKILL)
        _ = program.waitForEnd()
    }

    /// A certificate authority, `origin-ca.pem`, and what it says of a server, `server.pem` and `server.key`.
    static func makeCertificates(in directory: String, name: String = "localhost") throws {
        let script = """
            set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out origin-ca.pem -days 2 -subj '/CN=Origin CA'
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj '/O=Origin/CN=\(name)'
            printf 'subjectAltName=DNS:\(name),IP:127.0.0.1' > ext
            openssl x509 -req -in server.csr -CA origin-ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
            """
        let made = try run("bash", ["-c", script], in: directory)
        guard made.status == 0 else { throw TestFailure("no certificates: \(made.errors)") }
    }

    static func freePort() throws -> Int {
        let origin = try RawOrigin(answering: [])
        return origin.port
    }
}
