// The page at http://mitm.it, served by the recorder itself in regular mode: it offers the certificate of the authority, so that
// a device that uses the recorder as its proxy can trust it.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

enum Onboarding {
    static let host = "mitm.it"

    static let page = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>mitm: certificate</title></head><body>
        <h1>mitm</h1>
        <p>This proxy records. To let it read TLS, trust its certificate authority on this device:</p>
        <ul>
        <li><a href="/cert/pem">mitm-ca.pem</a>: Linux, Firefox, curl (<code>--cacert</code>)</li>
        <li><a href="/cert/cer">mitm-ca.cer</a>: Windows, Android, iOS, macOS (DER)</li>
        </ul>
        <p>Trust it only on devices that are yours, and remove it when you are done.</p>
        </body></html>

        """
}

extension ClientStack {
    /// Answers a request for mitm.it. The connection closes after the answer.
    func answerOnboarding(_ path: ByteBuffer) {
        let type: String
        let body: ByteBuffer
        var status = 200
        switch String(buffer: path) {
        case "/":
            type = "text/html; charset=utf-8"
            body = ByteBuffer(string: Onboarding.page)
        case "/cert/pem":
            type = "application/x-x509-ca-cert"
            body = ByteBuffer(string: configuration.authority.certificatePEM)
        case "/cert/cer":
            type = "application/x-x509-ca-cert"
            body = configuration.authority.certificateDER
        default:
            status = 404
            type = "text/plain; charset=utf-8"
            body = ByteBuffer(string: "mitm: there are /, /cert/pem and /cert/cer\n")
        }
        var fields = [("Content-Type", type), ("Connection", "close")]
        if type.hasPrefix("application/") {
            let name = String(buffer: path).hasSuffix("pem") ? "mitm-ca.pem" : "mitm-ca.cer"
            fields.append(("Content-Disposition", "attachment; filename=\"\(name)\""))
        }
        sendToClient(
            HTTP1Encoder.response(status: status, reason: status == 200 ? "OK" : "Not Found", fields: fields, body: body))
        closeUpstreams()
        closeClient(.clean)
    }
}
