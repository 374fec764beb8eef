// A certificate for tests of its names.

import Foundation
import NIOCore

/// DER of a certificate made by OpenSSL 3, with names of every kind, in UTF-8: CN=host.example, issued by CN=Root R1, for www.example,
/// *.api.example, 192.0.2.1, 2001:db8::1 and others.
package let sampleCertificate = ByteBuffer(
    bytes: Data(
        base64Encoded: """
            MIICXjCCAgSgAwIBAgIUBXO86fdPjI+sao7py/Pzjz+UQagwCgYIKoZIzj0EAwIw
            ODELMAkGA1UEBhMCVVMxFzAVBgNVBAoMDlRlc3QgQXV0aG9yaXR5MRAwDgYDVQQD
            DAdSb290IFIxMCAXDTI2MTEyNzIwMjkxMloYDzIxMjYxMTAzMjAyOTEyWjCBhjEL
            MAkGA1UEBhMCREUxITAfBgNVBAoMGEdyb8OfaGFuZGVsICwgQSAmIFPDtmhuZTEM
            MAoGA1UECwwDb25lMRwwGgYJKoZIhvcNAQkBFg1hQGV4YW1wbGUub3JnMRUwEwYD
            VQQDDAxob3N0LmV4YW1wbGUxETAPBgiHGIb3DQEJAgwDb2RkMFkwEwYHKoZIzj0C
            AQYIKoZIzj0DAQcDQgAESbIGeQoEGE+RumVf0xCJd3iMJ67WAapfmNPcQTTCsaaX
            IePWZGpFaZM51QYdDmUswECNpiF7IoVKZrpg5MdQ9aOBmjCBlzAMBgNVHRMBAf8E
            AjAAMGgGA1UdEQEB/wReMFyCC3d3dy5leGFtcGxlgg0qLmFwaS5leGFtcGxlhwTA
            AAIBhxAgAQ24AAAAAAAAAAAAAAABhhNodHRwczovL3guZXhhbXBsZS95gQ1iQGV4
            YW1wbGUub3JniAIqAzAdBgNVHQ4EFgQUaZueIzMRruTXAv9UerZm0hcIHDAwCgYI
            KoZIzj0EAwIDSAAwRQIgGBLOYwevffWxDOmWU9QEgnG6LNe9Cba23Fi/jr+mk78C
            IQDmf06SjO+163uly7QJ4qS79kjYqmCGSfC5r0fWsaRY0w==
            """, options: .ignoreUnknownCharacters)!)
