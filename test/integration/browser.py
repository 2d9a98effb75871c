"""Chromium, asked over WebDriver."""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

KEY = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       env={**os.environ, "HOME": self.profile.name})
        self.url = self.session = None
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                self.url = f"http://127.0.0.1:{found.group(1)}"
                break
        assert self.url, "chromedriver ended"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", "--disable-auto-reload",
                     "--user-data-dir=" + self.profile.name]
        options = {"args": arguments, "binary": "/usr/bin/chromium"}
        capabilities = {"goog:chromeOptions": options, "unhandledPromptBehavior": "ignore",
                        "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = "/session/" + answer["sessionId"]

    def ask(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:600]}") from None

    def go(self, url):
        """Opens it; again when a network of some engine came or went meanwhile, upon which Chromium ends what it asks for."""
        for _ in range(5):
            try:
                return self.ask("POST", self.session + "/url", {"url": url})
            except AssertionError as error:
                if "ERR_NETWORK_CHANGED" not in str(error):
                    raise
        return self.ask("POST", self.session + "/url", {"url": url})

    def run(self, script, *args):
        """The body of a function in the page."""
        return self.ask("POST", self.session + "/execute/sync", {"script": script, "args": list(args)})

    def wait(self, script, *args, timeout=60):
        """Until the expression is true in the page."""
        deadline = time.monotonic() + timeout
        while not (value := self.run("return " + script, *args)):
            assert time.monotonic() < deadline, f"never true: {script}\n" + self.run("return document.body.innerText")[:2000]
            time.sleep(0.05)
        return value

    def write(self, selector, text, timeout=60):
        """As soon as there is one that takes it: also where the page was made anew between looking and typing."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.ask("POST", self.session + "/element", {"using": "css selector", "value": selector})
            try:
                return self.ask("POST", f"{self.session}/element/{found[KEY]}/value", {"text": text})
            except AssertionError as error:
                if "stale element" not in str(error) and "not interactable" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def complaints(self):
        """What stands in the console: also what the policy of the page forbade."""
        return [entry["message"] for entry in self.ask("POST", self.session + "/se/log", {"type": "browser"})]

    def has_complained(self, *words, timeout=2):
        """Whether one with all these words comes to stand in the console."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if any(all(word in text for word in words) for text in self.complaints()):
                return True
            time.sleep(0.05)
        return False

    def close(self):
        try:
            if self.session:
                self.ask("DELETE", self.session)
        finally:
            self.driver.kill()
            self.driver.wait()
            self.driver.stdout.close()
            self.profile.cleanup()
