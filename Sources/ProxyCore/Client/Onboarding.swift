// The recorder's own page, http://mitm.it and https://mitm.it: it offers the certificate of the authority, so that a device that uses the
// recorder as its proxy can trust it. No server is contacted for it.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

enum Onboarding {
    static let host = "mitm.it"

    /// Whether a name is the page's, in any case and with a final dot or without.
    static func isHost(_ name: String) -> Bool {
        (7...8).contains(name.utf8.count) && (name.lowercased() == host || name.lowercased() == host + ".")
    }

    /// Whether the authority of a request, host[:port], is the page's.
    static func isAuthority(_ authority: ByteBuffer) -> Bool {
        guard authority.readableBytes >= host.utf8.count, authority.equalsIgnoringCase(ByteRange(0, host.utf8.count), "mitm.it")
        else { return false }
        return isHost(String(buffer: authority.hostWithoutPort))
    }

    /// Whether there is something at a path.
    static func has(_ path: ByteBuffer) -> Bool { Resource(path) != nil }

    private enum Resource: String {
        case page = "/"
        case pem = "/cert/pem"
        case der = "/cert/cer"
        case pkcs12 = "/cert/p12"

        init?(_ target: ByteBuffer) {
            let path = target.readableBytesView.prefix { $0 != 0x3F }
            self.init(rawValue: String(decoding: path, as: UTF8.self))
        }
    }

    /// The answer to a request.
    /// - Parameter path: the target in origin form.
    static func answer(_ head: RequestHead, _ path: ByteBuffer, _ authority: CertificateAuthority) -> LocalContent {
        guard head.isMethod("GET") || head.isMethod("HEAD") else {
            var refusal = LocalContent.message(status: 405, "this page takes GET and HEAD only")
            refusal.fields.append(("Allow", "GET, HEAD"))
            return refusal
        }
        switch Resource(path) {
        case .page: return LocalContent(status: 200, "text/html; charset=utf-8", ByteBuffer(string: page(authority)))
        case .pem: return file("pem", "application/x-x509-ca-cert", ByteBuffer(string: authority.certificatePEM))
        case .der: return file("cer", "application/x-x509-ca-cert", authority.certificateDER)
        case .pkcs12:
            do throws(CertificateError) {
                return file("p12", "application/x-pkcs12", try authority.certificatePKCS12(password: password))
            } catch {
                return .message(status: 500, error.message)
            }
        case nil: return .message(status: 404, "there are /, /cert/pem, /cert/cer and /cert/p12")
        }
    }

    private static func file(_ suffix: String, _ type: String, _ content: ByteBuffer) -> LocalContent {
        var answer = LocalContent(status: 200, type, content)
        answer.fields.append(("Content-Disposition", "attachment; filename=\"mitm-ca-cert.\(suffix)\""))
        return answer
    }

    /// Of the PKCS #12 file. It protects nothing, but some programs want one.
    private static let password = "mitm"

    private static func page(_ authority: CertificateAuthority) -> String {
        let sections = instructions.map { "<h2>\($0.name)</h2>\n\($0.steps)\n" }.joined()
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>mitm: certificate</title></head><body>
            <h1>mitm</h1>
            <p>This proxy records its traffic. To read TLS it shows clients certificates of its own authority. Clients that do
            not trust the authority refuse the connection. Here is its certificate:</p>
            <ul>
            <li><a href="/cert/pem">mitm-ca-cert.pem</a> (PEM): Linux, macOS, Firefox, Chromium, Node, Python, curl</li>
            <li><a href="/cert/cer">mitm-ca-cert.cer</a> (DER): Windows, iOS, Android</li>
            <li><a href="/cert/p12">mitm-ca-cert.p12</a> (PKCS #12, the certificate only, password <code>\(password)</code>): Java</li>
            </ul>
            <p>Its SHA-256 fingerprint is <code>\(authority.fingerprint)</code>.</p>
            <p>Trust it only on devices that are yours, and remove it when you are done: with the recorder's private key the traffic
            of these devices can be read and changed.</p>
            \(sections)</body></html>

            """
    }

    /// How each platform trusts the certificate.
    private static let instructions: [(name: String, steps: String)] = [
        (
            "Debian, Ubuntu",
            """
            <pre>sudo cp mitm-ca-cert.pem /usr/local/share/ca-certificates/mitm-ca-cert.crt
            sudo update-ca-certificates</pre>
            <p>To remove it, delete the file and run <code>sudo update-ca-certificates --fresh</code>.</p>
            """
        ),
        (
            "Fedora, Red Hat",
            """
            <pre>sudo cp mitm-ca-cert.pem /etc/pki/ca-trust/source/anchors/
            sudo update-ca-trust</pre>
            """
        ),
        (
            "macOS",
            """
            <pre>sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain mitm-ca-cert.pem</pre>
            """
        ),
        (
            "Windows",
            """
            <p>As an administrator:</p>
            <pre>certutil -addstore root mitm-ca-cert.cer</pre>
            <p>Or open the file, choose Install Certificate, Local Machine, and the store Trusted Root Certification
            Authorities.</p>
            """
        ),
        (
            "iOS",
            """
            <p>Open <a href="/cert/cer">mitm-ca-cert.cer</a> in Safari and allow the download. Install the profile in Settings,
            General, VPN &amp; Device Management. Then turn it on in Settings, General, About, Certificate Trust Settings.</p>
            """
        ),
        (
            "Android",
            """
            <p>Download <a href="/cert/cer">mitm-ca-cert.cer</a>. In Settings, search for CA certificate, choose Install anyway
            and select the file. Browsers trust it. Other apps trust it only if their network security configuration allows
            certificates of the user.</p>
            """
        ),
        (
            "Firefox",
            """
            <p>In Settings, Privacy &amp; Security, View Certificates, Authorities: import mitm-ca-cert.pem and trust it to
            identify websites. Or, with the directory of a profile:</p>
            <pre>certutil -A -d sql:PROFILE -t C,, -n mitm -i mitm-ca-cert.pem</pre>
            """
        ),
        (
            "Chromium, Chrome on Linux",
            """
            <pre>certutil -A -d sql:$HOME/.local/share/pki/nssdb -t C,, -n mitm -i mitm-ca-cert.pem</pre>
            <p>Older versions use <code>$HOME/.pki/nssdb</code>. certutil is in the package libnss3-tools (Debian) or nss-tools
            (Fedora).</p>
            """
        ),
        (
            "Java",
            """
            <pre>keytool -importcert -cacerts -storepass changeit -noprompt -alias mitm -file mitm-ca-cert.pem</pre>
            <p>Or for one program, which then trusts nothing else:</p>
            <pre>java -Djavax.net.ssl.trustStore=mitm-ca-cert.p12 -Djavax.net.ssl.trustStorePassword=\(password) PROGRAM</pre>
            """
        ),
        ("Node", "<pre>NODE_EXTRA_CA_CERTS=mitm-ca-cert.pem node PROGRAM</pre>"),
        (
            "Python: requests, pip",
            """
            <pre>REQUESTS_CA_BUNDLE=mitm-ca-cert.pem python3 PROGRAM
            pip --cert mitm-ca-cert.pem install PACKAGE</pre>
            <p>Programs that use the module ssl directly: <code>SSL_CERT_FILE=mitm-ca-cert.pem</code>.</p>
            """
        ),
        ("curl", "<pre>curl --cacert mitm-ca-cert.pem URL</pre>"),
    ]
}

extension ClientStack {
    /// The whole stream of the client is for the page.
    var isOnboarding: Bool {
        guard let route, route.isTunnel, configuration.mode.offersOnboarding else { return false }
        return Onboarding.isHost(route.destination.endpoint.host) || route.serverName.map(Onboarding.isHost) == true
    }

    /// Whether a request is for the page.
    /// - Parameters:
    ///   - destination: its server.
    ///   - origin: its target in origin form, if it came in absolute form.
    func isForOnboarding(_ head: RequestHead, to destination: Destination, origin: ByteBuffer?) -> Bool {
        guard configuration.mode.offersOnboarding else { return false }
        guard route == nil else {
            let named = head.authorityRange.isEmpty ? head.fields.first("host") : head.authority
            return isOnboarding || named.map(Onboarding.isAuthority) == true
        }
        if Onboarding.isHost(destination.endpoint.host) { return true }
        // A browser that is sent to the proxy's own address. Other requests for it would go round in circles.
        guard destination.endpoint.port == clientFacts.value.local.port, head.isMethod("GET") || head.isMethod("HEAD"),
            configuration.ownAddresses.contains(destination.endpoint) || destination.endpoint == clientFacts.value.local
        else { return false }
        return origin.map(Onboarding.has) ?? true
    }

    /// Answers a request for the page. A connection of HTTP/1 closes after the answer.
    func answerOnboarding(_ head: RequestHead, _ path: ByteBuffer, to sender: ClientStream) {
        sender.answer(sender.localReply(Onboarding.answer(head, path, configuration.authority), hasContent: !head.isMethod("HEAD")))
        if sender.isMultiplexed { return }
        closeUpstreams()
        closeClient(.clean)
    }
}
