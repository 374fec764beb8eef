// A certificate in the making: its fields are set, extensions are added one after another, then it is signed once.

import COpenSSL
import Glibc

/// A certificate that is not signed yet.
struct CertificateTemplate {
    private let certificate: X509Certificate
    /// nil: the certificate is its own issuer.
    private let issuer: X509Certificate?

    /// Version 3, with a random serial number. Times are seconds since 1970.
    init(
        subject: (commonName: String?, organization: String?), key: PrivateKey, issuer: X509Certificate?,
        notBefore: Int64, notAfter: Int64
    ) throws(CertificateError) {
        ERR_clear_error()
        guard let made = unsafe X509_new() else { throw .openSSL("no certificate can be made") }
        certificate = unsafe X509Certificate(takingOwnership: made)
        self.issuer = issuer
        try setSerialAndTimes(notBefore: notBefore, notAfter: notAfter)
        try setName(NID_organizationName, subject.organization)
        try setName(NID_commonName, subject.commonName)
        let issuerName = unsafe X509_get_subject_name((issuer ?? certificate).pointer)
        guard unsafe X509_set_issuer_name(made, issuerName) == 1, unsafe X509_set_pubkey(made, key.pointer) == 1 else {
            throw .openSSL("no certificate can be made")
        }
    }

    /// Adds an extension written as in x509v3_config(5). `value` is ours, never a peer's: that syntax can be escaped from.
    func add(_ identifier: Int32, _ value: String) throws(CertificateError) {
        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, (issuer ?? certificate).pointer, certificate.pointer, nil, nil, 0)
        guard let made = unsafe X509V3_EXT_conf_nid(nil, &context, identifier, value) else {
            throw .openSSL("the extension \"\(value)\" cannot be made")
        }
        defer { unsafe X509_EXTENSION_free(made) }
        guard unsafe X509_add_ext(certificate.pointer, made, -1) == 1 else {
            throw .openSSL("the extension \"\(value)\" cannot be added")
        }
    }

    /// Adds the subject alternative name, RFC 5280 §4.2.1.6.
    func addNames(_ names: [NetworkName], isCritical: Bool) throws(CertificateError) {
        guard let list = unsafe GENERAL_NAMES_new() else { throw .openSSL("the names cannot be set") }
        defer { unsafe GENERAL_NAMES_free(list) }
        for name in names {
            let bytes: [UInt8]
            let type: Int32
            switch name {
            case .dns(let text): (bytes, type) = (Array(text.utf8), GEN_DNS)
            case .address(let address): (bytes, type) = (address, GEN_IPADD)
            }
            let string = unsafe ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING)
            let element = unsafe GENERAL_NAME_new()
            guard let string = unsafe string, let element = unsafe element,
                unsafe ASN1_STRING_set(string, bytes, CInt(bytes.count)) == 1
            else {
                unsafe ASN1_STRING_free(string)
                unsafe GENERAL_NAME_free(element)
                throw .openSSL("the names cannot be set")
            }
            unsafe GENERAL_NAME_set0_value(element, type, string)  // which owns the string from here on
            unsafe mitm_sk_GENERAL_NAME_push(list, element)
        }
        let flags = UInt(X509V3_ADD_DEFAULT)
        guard
            unsafe X509_add1_ext_i2d(
                certificate.pointer, NID_subject_alt_name, UnsafeMutableRawPointer(list), isCritical ? 1 : 0, flags) == 1
        else { throw .openSSL("the names cannot be set") }
    }

    /// Signs with SHA-256; the template is used up.
    consuming func sign(with key: PrivateKey) throws(CertificateError) -> X509Certificate {
        guard unsafe X509_sign(certificate.pointer, key.pointer, EVP_sha256()) > 0 else {
            throw .openSSL("the certificate cannot be signed")
        }
        return certificate
    }

    private func setSerialAndTimes(notBefore: Int64, notAfter: Int64) throws(CertificateError) {
        // RFC 5280 §4.1.2.2: positive, at most 20 bytes.
        var serial = [UInt8](repeating: 0, count: 20)
        guard unsafe RAND_bytes(&serial, CInt(serial.count)) == 1 else { throw .openSSL("no random number can be had") }
        serial[0] = serial[0] & 0x7F | 0x40
        let made = unsafe certificate.pointer
        let number = unsafe BN_bin2bn(serial, CInt(serial.count), nil)
        defer { unsafe BN_free(number) }
        guard unsafe number != nil, unsafe BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made)) != nil,
            unsafe X509_set_version(made, 2) == 1,
            unsafe ASN1_TIME_set(X509_getm_notBefore(made), time_t(notBefore)) != nil,
            unsafe ASN1_TIME_set(X509_getm_notAfter(made), time_t(notAfter)) != nil
        else { throw .openSSL("no certificate can be made") }
    }

    private func setName(_ field: Int32, _ value: String?) throws(CertificateError) {
        guard let value else { return }
        let bytes = Array(value.utf8)
        let subject = unsafe X509_get_subject_name(certificate.pointer)
        guard unsafe X509_NAME_add_entry_by_NID(subject, field, MBSTRING_UTF8, bytes, CInt(bytes.count), -1, 0) == 1 else {
            throw .openSSL("the subject cannot be set")
        }
    }
}
