/// A certificate with its key, ready to be shown.
package final class LeafCertificate: Sendable {
    package init() {}
}
