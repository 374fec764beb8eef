// Browsers: which one, and how it is started so that all of its traffic comes to the recorder and nothing else does. Chromium accepts our
// certificates by a pin on the authority's key; Firefox has the authority in the certificate database of its profile.

import Foundation
import TLSEngine
import ToolSupport

struct Browser {
    enum Family { case chromium, firefox }

    let family: Family
    let program: ProgramFile

    /// What `--browser` means without a value.
    static let anyInstalled = "any"

    private static let names: KeyValuePairs = [
        "chromium": ["chromium", "chromium-browser", "google-chrome", "brave-browser"], "firefox": ["firefox", "firefox-esr"],
    ]

    /// - Parameter choice: `any`, a family, a program's name, or its path.
    /// - Throws: ``ToolError`` if there is no such browser.
    init(_ choice: String, path search: String?) throws {
        let candidates = Self.names.filter { choice == Self.anyInstalled || choice == $0.key }.flatMap { $0.value }
        let found = (candidates.isEmpty ? [choice] : candidates).lazy.compactMap { try? ProgramFile($0, path: search) }.first
        guard let found else {
            let tried =
                candidates.isEmpty ? "'\(choice)' is not a program" : "none of \(candidates.joined(separator: ", ")) is installed"
            throw ToolError("no browser: \(tried); give the path of one with --browser=PATH")
        }
        program = found
        let name = (found.name as NSString).lastPathComponent.lowercased()
        family = name.contains("firefox") || name.contains("librewolf") ? .firefox : .chromium
    }

    /// - Parameters:
    ///   - profile: the directory of its profile.
    ///   - given: arguments of the user's own; they come after ours.
    func arguments(
        profile: String, proxy: ProxyAddress, authority: CertificateAuthority, given: [String], addresses: [String]
    ) -> [String] {
        let addresses = addresses.isEmpty ? ["about:blank"] : addresses
        switch family {
        case .firefox: return ["--no-remote", "--profile", profile] + given + addresses
        case .chromium:
            var flags = [
                "--user-data-dir=\(profile)", "--proxy-server=\(proxy.authority)",
                // Otherwise the machine's own names are reached without the proxy.
                "--proxy-bypass-list=<-loopback>",
                "--ignore-certificate-errors-spki-list=\(Data(authority.publicKeyDigest).base64EncodedString())",
                // A browser that knows of HTTP/3 would leave the proxy.
                "--disable-quic",
            ]
            // Without it a bar warns of the flags above. Brave does not start with it.
            if !program.name.lowercased().contains("brave") { flags.append("--test-type") }
            return flags + Self.quietFlags + given + addresses
        }
    }

    /// Chromium's own traffic and questions.
    private static let quietFlags = [
        "--no-first-run", "--no-default-browser-check", "--no-pings", "--no-service-autorun", "--disable-background-networking",
        "--disable-breakpad", "--disable-client-side-phishing-detection", "--disable-component-update", "--disable-default-apps",
        "--disable-domain-reliability", "--disable-search-engine-choice-screen", "--disable-sync", "--metrics-recording-only",
        "--password-store=basic",
        "--disable-features=AutofillServerCommunication,CertificateTransparencyComponentUpdater,DialMediaRouteProvider,MediaRouter,"
            + "InterestFeedContentSuggestions,OptimizationHints,Translate",
    ]

    /// Variables with which it is started.
    var variables: [(name: String, value: String)] {
        // Without it Firefox does not read its own settings' server from the profile.
        family == .firefox ? [("MOZ_REMOTE_SETTINGS_DEVTOOLS", "1")] : []
    }

    /// The settings of a Firefox profile (user.js).
    static func firefoxSettings(_ proxy: ProxyAddress) -> String {
        let host = "\"\(proxy.host)\""
        let settings: KeyValuePairs = [
            "network.proxy.type": "1", "network.proxy.http": host, "network.proxy.http_port": "\(proxy.port)",
            "network.proxy.ssl": host, "network.proxy.ssl_port": "\(proxy.port)", "network.proxy.no_proxies_on": "\"\"",
            // Otherwise the machine's own names are reached without the proxy.
            "network.proxy.allow_hijacking_localhost": "true",
            "network.proxy.failover_direct": "false",
            // A browser that knows of HTTP/3 would leave the proxy.
            "network.http.http3.enable": "false",
            // Firefox's own traffic and questions.
            "app.normandy.enabled": "false", "app.shield.optoutstudies.enabled": "false", "app.update.auto": "false",
            "app.update.enabled": "false", "browser.aboutwelcome.enabled": "false", "browser.newtabpage.enabled": "false",
            "browser.contentblocking.report.lockwise.enabled": "false", "browser.discovery.enabled": "false",
            "browser.region.network.url": "\"\"", "browser.region.update.enabled": "false",
            "browser.safebrowsing.blockedURIs.enabled": "false", "browser.safebrowsing.downloads.enabled": "false",
            "browser.safebrowsing.malware.enabled": "false", "browser.safebrowsing.phishing.enabled": "false",
            "browser.safebrowsing.provider.google4.updateURL": "\"\"", "browser.safebrowsing.provider.mozilla.updateURL": "\"\"",
            "browser.search.geoSpecificDefaults": "false", "browser.search.update": "false",
            "browser.shell.checkDefaultBrowser": "false", "browser.startup.homepage_override.mstone": "\"ignore\"",
            "browser.startup.page": "0", "browser.topsites.contile.enabled": "false", "browser.tabs.firefox-view": "false",
            "captivedetect.canonicalURL": "\"\"", "datareporting.healthreport.uploadEnabled": "false",
            "datareporting.policy.dataSubmissionEnabled": "false", "dom.push.connection.enabled": "false",
            "extensions.getAddons.cache.enabled": "false", "extensions.systemAddon.update.enabled": "false",
            "extensions.update.enabled": "false", "media.gmp-manager.updateEnabled": "false", "media.gmp-manager.url": "\"\"",
            "messaging-system.rsexperimentloader.enabled": "false", "network.captive-portal-service.enabled": "false",
            "network.connectivity-service.enabled": "false", "network.dns.disablePrefetch": "true",
            "network.prefetch-next": "false",
            "network.trr.mode": "5", "services.settings.server": "\"data:,#remote-settings-dummy/v1\"",
            "telemetry.fog.test.localhost_port": "-1",
            "toolkit.telemetry.server": "\"\"", "toolkit.telemetry.enabled": "false",
            "toolkit.telemetry.reportingpolicy.firstRun": "false", "toolkit.telemetry.unified": "false",
            "trailhead.firstrun.didSeeAboutWelcome": "true", "termsofuse.bypassNotification": "true",
        ]
        return settings.map { "user_pref(\"\($0.key)\", \($0.value));\n" }.joined()
    }
}
