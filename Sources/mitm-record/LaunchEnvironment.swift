// The environment of a command that is recorded: variables by which programs find the proxy and the certificates to trust. One table; the
// tests compare docs/launching.md with it.

import FlowArchive
import Foundation
import Glibc
import ToolSupport

/// What a group of variables holds.
enum LaunchVariable: CaseIterable {
    /// The URL of the proxy.
    case proxy
    /// Nothing: no host is reached without the proxy.
    case exceptions
    /// The file of the certificates to trust.
    case certificates
    /// 1: the variables above are used.
    case enabled
    /// A wgetrc file that names the certificates.
    case wget
    /// Options of the Java virtual machine.
    case java

    var names: [String] {
        switch self {
        case .proxy:
            [
                "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy", "WS_PROXY",
                "wss_proxy",
                "WSS_PROXY", "grpc_proxy", "CGI_HTTP_PROXY", "npm_config_proxy", "npm_config_https_proxy",
            ]
        case .exceptions: ["no_proxy", "NO_PROXY", "no_grpc_proxy"]
        case .certificates:
            [
                "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "DENO_CERT",
                "PERL_LWP_SSL_CA_FILE", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "BUNDLE_SSL_CA_CERT",
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            ]
        case .enabled: ["NODE_USE_ENV_PROXY", "PERL_LWP_ENV_PROXY"]
        case .wget: ["SYSTEM_WGETRC"]
        case .java: ["JAVA_TOOL_OPTIONS"]
        }
    }
}

/// The variables of a process. Values need not be UTF-8: they are texts of ``FileName``.
struct ProcessEnvironment {
    private(set) var entries: [String]

    init(entries: [String]) { self.entries = entries }

    /// That of this process.
    static var current: ProcessEnvironment {
        var entries: [String] = []
        var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe environ
        while let entry = unsafe next?.pointee {
            unsafe entries.append(FileName.text(UnsafeRawBufferPointer(start: entry, count: strlen(entry))))
            unsafe next = next?.advanced(by: 1)
        }
        return ProcessEnvironment(entries: entries)
    }

    /// nil if the variable is not set.
    subscript(name: String) -> String? {
        entries.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    func setting(_ variables: [(name: String, value: String)]) -> ProcessEnvironment {
        let names = Set(variables.map(\.name))
        let kept = entries.filter { !names.contains(String($0.prefix { $0 != "=" })) }
        return ProcessEnvironment(entries: kept + variables.map { "\($0.name)=\($0.value)" })
    }
}

/// The variables with their values.
struct LaunchEnvironment {
    let variables: [(name: String, value: String)]

    /// - Parameter proxy: nil if the recorder has no mode that is a forward proxy; then only certificates are set.
    init(proxy: ProxyAddress?, trust: TrustBundle, over environment: ProcessEnvironment) {
        variables = LaunchVariable.allCases.flatMap { variable -> [(name: String, value: String)] in
            let value: String? =
                switch variable {
                case .proxy: proxy?.url
                case .exceptions: proxy.map { _ in "" }
                case .certificates: trust.certificates
                case .enabled: "1"
                case .wget: trust.wgetrc
                case .java: Self.java(proxy, trust, after: environment["JAVA_TOOL_OPTIONS"])
                }
            guard let value else { return [] }
            return variable.names.map { ($0, value) }
        }
    }

    /// `export NAME='value'` lines for a POSIX shell.
    var exports: String {
        variables.map { "export \($0.name)='\($0.value.replacing("'", with: #"'\''"#))'\n" }.joined()
    }

    /// A later option replaces an earlier one of the same name.
    private static func java(_ proxy: ProxyAddress?, _ trust: TrustBundle, after given: String?) -> String {
        var options = given.map { $0.isEmpty ? [] : [$0] } ?? []
        if let proxy {
            for scheme in ["http", "https"] {
                options += ["-D\(scheme).proxyHost=\(proxy.host)", "-D\(scheme).proxyPort=\(proxy.port)"]
            }
            // By default the machine's own names are reached without the proxy.
            options.append("-Dhttp.nonProxyHosts=")
        }
        options += [
            "-Djavax.net.ssl.trustStore=\(quoted(trust.javaStore))", "-Djavax.net.ssl.trustStoreType=PKCS12",
            "-Djavax.net.ssl.trustStorePassword=\(TrustBundle.javaPassword)",
        ]
        return options.joined(separator: " ")
    }

    /// The Java virtual machine splits the variable at white space, except within quotes of either kind.
    private static func quoted(_ path: String) -> String {
        guard path.contains(where: { $0.isWhitespace || $0 == "\"" || $0 == "'" }) else { return path }
        return path.split(separator: "\"", omittingEmptySubsequences: false).map { "\"\($0)\"" }.joined(separator: "'\"'")
    }
}

/// Where clients on this machine reach the proxy.
struct ProxyAddress {
    let host: String
    let port: UInt16

    /// - Parameter host: the address that the proxy listens on; a wildcard stands for this machine.
    init(host: String, port: UInt16) {
        self.host = ["0.0.0.0", "*", ""].contains(host) ? "127.0.0.1" : host == "::" ? "::1" : host
        self.port = port
    }

    /// `host:port`, an IPv6 address in brackets.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    var url: String { "http://\(authority)" }
}
