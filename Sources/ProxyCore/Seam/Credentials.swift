// Logins, and how the driver checks them.

/// A user name and a password of a client.
package struct Login: Sendable, Hashable {
    package var user: String
    package var password: String

    package init(user: String, password: String) {
        self.user = user
        self.password = password
    }
}

/// Checks logins. Used on all event loops.
package struct CredentialCheck: Sendable {
    /// The answer if it is known at once; nil if it has to be computed.
    let cached: @Sendable (Login) -> Bool?
    /// Computes it, which may take a while: a password hash is slow by design.
    package let verify: @Sendable (Login) -> Bool

    package init(cached: @escaping @Sendable (Login) -> Bool?, verify: @escaping @Sendable (Login) -> Bool) {
        self.cached = cached
        self.verify = verify
    }
}
