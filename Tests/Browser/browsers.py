"""Chromium and Firefox without a display, with the few calls that the tests need. Chromium is driven by Selenium, Firefox by its own Marionette,
because Debian has no geckodriver."""
import base64
import os
import shutil
import tempfile


class Keys:
    """Keys that have no character (WebDriver section 17.4.2)."""
    TAB, ENTER, SHIFT, CONTROL, ESCAPE = "\ue004", "\ue007", "\ue008", "\ue009", "\ue00c"
    PAGE_UP, PAGE_DOWN, END, HOME = "\ue00e", "\ue00f", "\ue010", "\ue011"
    LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


def program(*names):
    found = next((path for path in map(shutil.which, names) if path), None)
    if not found:
        raise SystemExit(f"Tests/Browser: there is no {names[0]}; run tools/setup test")
    return found


class Chromium:
    name = "chromium"
    # As root, with a small /dev/shm, and without requests of its own.
    options = [
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync", "--lang=en-US",
        "--force-color-profile=srgb", "--window-size=1280,800",
    ]

    def __init__(self, proxy=None, zone="UTC"):
        from selenium import webdriver
        options = webdriver.ChromeOptions()
        options.binary_location = program("chromium")
        for option in self.options + ([f"--proxy-server=http://{proxy}"] if proxy else []):
            options.add_argument(option)
        service = webdriver.ChromeService(executable_path=program("chromedriver"), env=dict(os.environ, TZ=zone))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(20)
        self.media = {"prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference"}
        self.resize(1280, 800)

    def open(self, address):
        self.driver.get(address)

    def script(self, code, *arguments):
        """The value that the code returns, or that its promise ends with."""
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys, held=None):
        """Presses keys, wherever the focus is."""
        from selenium.webdriver import ActionChains
        chain = ActionChains(self.driver, duration=0)
        if held:
            chain.key_down(held)
        chain.send_keys(*keys)
        if held:
            chain.key_up(held)
        chain.perform()

    def drag(self, element, start, end):
        """Drags the pointer over an element, from one share of its width to another."""
        from selenium.webdriver import ActionChains
        width = element.size["width"]
        ActionChains(self.driver, duration=10).move_to_element_with_offset(element, int((start - 0.5) * width), 0).click_and_hold() \
            .move_by_offset(int((end - start) * width), 0).release().perform()

    def resize(self, width, height, zoom=1):
        """A window of so many pixels, in which the page is enlarged: it has fewer pixels of its own, and more of the device for each."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width // zoom, "height": height // zoom, "deviceScaleFactor": zoom, "mobile": False})

    def prefer(self, feature, value):
        """Sets a preference of the user, such as prefers-color-scheme."""
        self.media[feature] = value
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": n, "value": v} for n, v in self.media.items()]})

    def allow_clipboard(self, origin):
        self.driver.execute_cdp_cmd("Browser.grantPermissions", {"origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})

    def picture(self):
        """A PNG of the window."""
        return self.driver.get_screenshot_as_png()

    def compressed(self, quality):
        """The window as WebP."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": quality})
        return base64.b64decode(shot["data"])

    def end(self):
        self.driver.quit()


class Firefox:
    name = "firefox"

    def __init__(self, proxy=None, zone="UTC"):
        from marionette_driver.marionette import Marionette
        settings = {
            "dom.events.testing.asyncClipboard": True, "app.update.disabledForTesting": True, "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False, "datareporting.policy.dataSubmissionEnabled": False, "app.normandy.enabled": False,
            "services.settings.server": "data:,#remote-settings-dummy/v1", "browser.safebrowsing.downloads.enabled": False,
            "dom.push.connection.enabled": False, "browser.region.network.url": "", "extensions.systemAddon.update.enabled": False,
            "layout.css.prefers-color-scheme.content-override": 1, "ui.prefersReducedMotion": 0,
        }
        if proxy:
            host, port = proxy.rsplit(":", 1)
            settings |= {"network.proxy.type": 1, "network.proxy.http": host, "network.proxy.http_port": int(port),
                         "network.proxy.ssl": host, "network.proxy.ssl_port": int(port)}
        self.zone = os.environ.get("TZ")
        os.environ["TZ"] = zone
        # Marionette removes the file of the log before it begins: /dev/null, where root may do that.
        self.log = tempfile.mkdtemp(prefix="mitm-browser-")
        self.driver = Marionette(bin=program("firefox-esr"), headless=True, port=0, prefs=settings, gecko_log=self.log)
        self.driver.start_session()
        self.driver.timeout.script = self.driver.timeout.page_load = 20
        self.resize(1280, 800)

    def open(self, address):
        self.driver.navigate(address)

    def script(self, code, *arguments):
        return self.driver.execute_script(code, script_args=arguments, sandbox=None)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys, held=None):
        actions = self.driver.actions.sequence("key", "keyboard")
        if held:
            actions.key_down(held)
        actions.send_keys("".join(keys))
        if held:
            actions.key_up(held)
        actions.perform()

    def drag(self, element, start, end):
        box = element.rect
        x, y = (lambda share: int(box["x"] + share * box["width"])), int(box["y"] + box["height"] / 2)
        self.driver.actions.sequence("pointer", "mouse", {"pointerType": "mouse"}).pointer_move(x(start), y).pointer_down() \
            .pointer_move(x(end), y).pointer_up().perform()

    def resize(self, width, height, zoom=1):
        self.driver.set_pref("layout.css.devPixelsPerPx", str(float(zoom)))
        for _ in range(2):  # The first call shows how much of the window is not the page's.
            inner = self.script("return [innerWidth * devicePixelRatio, innerHeight * devicePixelRatio]")
            window = self.driver.window_rect
            self.driver.set_window_rect(width=round(window["width"] + (width - inner[0]) / zoom), height=round(window["height"] + (height - inner[1]) / zoom))

    def prefer(self, feature, value):
        name = {"prefers-color-scheme": "layout.css.prefers-color-scheme.content-override", "prefers-reduced-motion": "ui.prefersReducedMotion"}[feature]
        self.driver.set_pref(name, {"dark": 0, "light": 1, "reduce": 1, "no-preference": 0}[value])

    def allow_clipboard(self, origin):
        pass  # dom.events.testing.asyncClipboard allows it

    def picture(self):
        return self.driver.screenshot(format="binary", full=False)

    def end(self):
        if self.zone is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = self.zone
        if self.driver.session_id:
            self.driver.quit()
        self.driver.cleanup()
        shutil.rmtree(self.log, ignore_errors=True)


kinds = {kind.name: kind for kind in (Chromium, Firefox)}
