// The sets of rules: names under which credentials travel. Names are compared without regard to case, `-`, `_` and points; those of fields
// without regard to case.

import HTTPSemantics
import NIOCore

enum RedactionSets {
    /// Header fields whose value is a credential.
    static let fields: [String] = [
        "authorization", "proxy-authorization", "x-authorization", "x-forwarded-authorization", "x-original-authorization",
        "authentication", "x-auth", "x-auth-token", "x-auth-key", "x-access-token", "x-refresh-token", "x-id-token",
        "x-api-key", "x-api-token", "x-api-secret", "api-key", "apikey", "x-apikey", "x-access-key", "x-secret-key", "x-secret",
        "x-token", "x-user-token", "x-session", "x-session-id", "x-session-token", "x-csrf-token", "x-csrftoken", "x-xsrf-token",
        "csrf-token", "x-client-data", "cookie2", "set-cookie2", "dpop", "x-amz-security-token", "x-amzn-oidc-accesstoken",
        "x-amzn-oidc-data", "x-amzn-oidc-identity", "x-goog-api-key", "x-goog-iap-jwt-assertion", "x-goog-authenticated-user-jwt",
        "cf-access-jwt-assertion", "cf-access-client-secret", "cf-access-token", "x-vault-token", "private-token", "job-token",
        "deploy-token", "x-gitlab-token", "x-github-token", "x-shopify-access-token", "x-shopify-storefront-access-token",
        "x-figma-token", "x-rapidapi-key", "x-functions-key", "x-zumo-auth", "x-registry-auth", "x-ms-token-aad-access-token",
        "x-ms-token-aad-id-token", "x-ms-token-aad-refresh-token", "x-ms-client-principal", "x-forwarded-access-token",
        "x-forwarded-client-cert", "ocp-apim-subscription-key", "x-plex-token", "x-emby-token", "x-parse-session-token",
        "x-parse-rest-api-key", "x-parse-master-key", "x-consul-token", "x-nomad-token", "x-newrelic-license-key", "dd-api-key",
        "dd-application-key", "x-honeycomb-team", "x-password", "x-one-time-password", "x-github-otp", "x-okta-xsrftoken",
    ]

    /// Parameters of queries and forms, and members of JSON objects.
    static let names: [String] = [
        "access_token", "refresh_token", "id_token", "auth_token", "api_token", "session_token", "user_token", "bearer_token",
        "oauth_token", "oauth_token_secret", "oauth_signature", "oauth_verifier", "device_token", "private_token", "service_token",
        "security_token", "reset_token", "csrf_token", "xsrf_token", "csrf", "xsrf", "csrfmiddlewaretoken", "authenticity_token",
        "request_verification_token", "token", "jwt", "bearer", "authorization", "assertion", "client_assertion", "subject_token",
        "actor_token", "saml_request", "saml_response", "samlart", "client_secret", "code_verifier", "code_challenge",
        "device_code",
        "password", "passwd", "passphrase", "pass", "pwd", "passwort", "new_password", "old_password", "current_password",
        "confirm_password", "password_confirmation", "password_confirm", "password1", "password2", "user_password", "db_password",
        "secret", "secrets", "app_secret", "api_secret", "shared_secret", "consumer_secret", "webhook_secret", "signing_secret",
        "secret_key", "secret_access_key", "aws_secret_access_key", "aws_session_token", "session_key", "api_key", "x_api_key",
        "access_key", "private_key", "signing_key", "encryption_key", "master_key", "account_key", "subscription_key",
        "credential", "credentials", "otp", "totp", "otp_code", "totp_code", "mfa_code", "mfa_token", "one_time_password",
        "verification_code", "recovery_code", "recovery_codes", "backup_codes", "security_code", "cvv", "cvc", "pin_code",
        "session_id", "php_sess_id", "jsession_id", "asp_net_session_id", "sess_id", "sid_token", "x_amz_security_token",
        "x_amz_signature", "x_amz_credential", "x_goog_signature", "x_goog_credential", "x_client_data", "refresh_jwt",
        "access_jwt",
        "shdf", "usg", "vses2", "fc_params",
    ]

    /// Parameters of queries and forms only: in JSON these names have other meanings.
    static let parameters: [String] = [
        "code", "state", "client_id", "auth", "challenge", "nonce", "sid", "sig", "signature", "hmac", "ticket", "key", "session",
        "server_data", "facet_id",
    ]

    /// Fields that have the address of a client.
    static let clientAddressFields: [String] = [
        "forwarded", "x-forwarded-for", "x-original-forwarded-for", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "client-ip",
        "true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip",
        "x-envoy-external-address",
        "x-appengine-user-ip", "x-azure-clientip", "x-azure-socketip", "x-remote-ip", "x-remote-addr", "x-originating-ip",
        "cloudfront-viewer-address", "ali-cdn-real-ip", "via-client-ip",
    ]

    /// Whether content of a type is a script or an image.
    static func isScriptOrImage(_ contentType: ByteBuffer) -> Bool {
        let type = String(buffer: contentType).prefix { $0 != ";" }.lowercased()
        return type.hasPrefix("image/") || type.includes("javascript") || type.includes("ecmascript") || type.includes("/wasm")
    }
}
