"""Requests of other sites, of other names, of programs without the secret."""
import base64
import contextlib
import http.client
import os

import case
import programs
import recordings

STATUS = "/api/1/status"


class Attacks(case.Case):
    def setUp(self):
        super().setUp()
        html = recordings.entry(0, "http://shop.example/", content="<h1>Shop</h1>", kind="text/html")
        self.view = self.start(programs.View(recordings.har(self.directory / "shop.har", [html])))

    def status(self, method, target, body=None, **fields):
        return self.view.call(method, target, body, **fields)[0]

    def test_only_the_secret_opens_the_interface(self):
        self.assertEqual(self.status("GET", STATUS), 200)
        for authorization in [None, "Bearer " + "0" * 64, f"Bearer {self.view.secret[:-1]}", f"Basic {self.view.secret}", "Bearer "]:
            self.assertEqual(self.status("GET", STATUS, Authorization=authorization), 401, authorization)
        self.assertEqual(self.status("GET", f"{STATUS}?k={self.view.secret}", Authorization=None), 401)
        self.assertEqual(self.status("GET", STATUS, Authorization=None, Cookie=f"mitm-view-{self.view.port}=0"), 401)

    def test_another_host_is_refused(self):
        port = self.view.port
        for host in [f"evil.example:{port}", "evil.example", "127.0.0.1", f"127.0.0.1:{port + 1}", f"127.0.0.1.evil.example:{port}", f"0.0.0.0:{port}", ""]:
            for target in ["/", STATUS]:
                self.assertEqual(self.status("GET", target, Host=host), 403, host)
        for host in ["127.0.0.1", "localhost", "[::1]"]:
            self.assertEqual(self.status("GET", STATUS, Host=f"{host}:{port}"), 200, host)

    def test_another_site_is_refused(self):
        for origin in ["http://evil.example", "null", f"https://127.0.0.1:{self.view.port}", f"http://127.0.0.1:{self.view.port + 1}"]:
            self.assertEqual(self.status("POST", "/api/1/views", "{}", Origin=origin), 403, origin)
            self.assertEqual(self.status("GET", "/", Origin=origin), 403, origin)
        for site in ["cross-site", "same-site"]:
            self.assertEqual(self.status("GET", "/", Sec_Fetch_Site=site), 403, site)
            self.assertEqual(self.status("GET", STATUS, Sec_Fetch_Site=site), 403, site)

    def test_a_websocket_needs_the_secret_and_our_origin(self):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()}
        live = "/api/1/live"
        self.assertEqual(self.status("GET", live, Origin="http://evil.example", **upgrade), 403)
        self.assertEqual(self.status("GET", live, Host=f"evil.example:{self.view.port}", **upgrade), 403)
        self.assertEqual(self.status("GET", live, Authorization=None, **upgrade), 401)
        self.assertEqual(self.status("GET", live, Sec_Fetch_Site="cross-site", **upgrade), 403)
        self.assertEqual(self.status("GET", live, Origin=self.view.origin.rstrip("/"), **upgrade), 101)

    def test_the_view_is_no_proxy_and_serves_no_files(self):
        self.assertEqual(self.status("GET", f"http://127.0.0.1:{self.view.port}{STATUS}"), 403)
        self.assertEqual(self.status("GET", "http://evil.example/"), 403)
        self.assertEqual(self.status("CONNECT", "evil.example:443"), 403)
        for target in ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/1/../../../etc/passwd"]:
            self.assertEqual(self.status("GET", target), 404, target)

    def test_other_methods_are_refused(self):
        for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"]:
            self.assertIn(self.status(method, "/api/1/views/v1"), (404, 405), method)
        self.assertIn(self.status("POST", STATUS, ""), (404, 405))

    def test_each_answer_forbids_scripts_frames_and_guesses_of_types(self):
        for target in ["/", "/app.js", STATUS, "/nothing", "/api/1/flows/0/raw/response", "/api/1/flows/0/preview/response"]:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.view.port, timeout=20)) as connection:
                connection.request("GET", target, headers={"Authorization": f"Bearer {self.view.secret}"})
                answer = connection.getresponse()
                policy = answer.getheader("Content-Security-Policy")
                self.assertIn("default-src 'none'", policy, target)
                self.assertNotIn("unsafe-eval", policy, target)
                self.assertEqual(answer.getheader("X-Content-Type-Options"), "nosniff", target)
                self.assertEqual(answer.getheader("Cross-Origin-Resource-Policy"), "same-origin", target)
                self.assertEqual(answer.getheader("Referrer-Policy"), "no-referrer", target)
                if "/raw/" in target:
                    self.assertIn("sandbox", policy)
                    self.assertEqual(answer.getheader("Content-Type"), "application/octet-stream")
                    self.assertTrue(answer.getheader("Content-Disposition").startswith("attachment"))
                if "/preview/" in target:
                    self.assertIn("sandbox", policy)
                    self.assertNotIn("script-src", policy)


class ThroughTheRecorder(case.Case):
    """A client of the proxy is on the same machine as the view, so only the recorder can keep it from there."""

    def test_the_recorder_forwards_nothing_to_its_view(self):
        path = self.directory / "sent.mflow"
        recorder = self.start(programs.Recorder(path, "--view"))
        port, secret = recorder.found[1].group(2), recorder.found[1].group(3)
        authorization = {"Authorization": f"Bearer {secret}"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)) as direct:
            direct.request("GET", STATUS, headers=authorization)
            self.assertEqual(direct.getresponse().status, 200)
        for name in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0", "127.0.0.2"]:
            with contextlib.closing(http.client.HTTPConnection(recorder.address, timeout=20)) as proxied:
                proxied.request("GET", f"http://{name}:{port}{STATUS}", headers=authorization | {"Host": f"127.0.0.1:{port}"})
                self.assertIn(proxied.getresponse().status, (400, 502), name)
            with contextlib.closing(http.client.HTTPConnection(recorder.address, timeout=20)) as tunnelled:
                with self.assertRaises((OSError, http.client.HTTPException), msg=name):
                    tunnelled.set_tunnel(f"{name}:{port}")
                    tunnelled.request("GET", STATUS, headers=authorization | {"Host": f"127.0.0.1:{port}"})
                    if tunnelled.getresponse().status == 502:
                        raise OSError("refused")
        self.assertEqual(recorder.end(), 0)
