"""The page in a real browser: what comes from commits, forges and jobs is shown and never run."""

import json
import os
import signal
import subprocess
import time
from xml.sax.saxutils import quoteattr

import pytest

import browser as browsers
import forge
from cutter import Cutter
from server import IMAGE

pytestmark = pytest.mark.xdist_group("browser")

# Each would call hit() or leave an element that the page does not make.
PAYLOADS = [
    "<script>hit()</script>", "<script src=/hit></script>", "<img src=x onerror=hit()>", "<svg onload=hit()>", "<svg/onload=hit()>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>", "<body onload=hit()>", "<details open ontoggle=hit()>",
    "<input autofocus onfocus=hit()>", "<video><source onerror=hit()></video>", "<math><mi//xlink:href='javascript:hit()'>",
    "'\"><img src=x onerror=hit()>", "</pre><script>hit()</script>", "</script><script>hit()</script>", "]]><script>hit()</script>",
    "<!--><img src=x onerror=hit()>-->", "<a href=javascript:hit()>x</a>", "<form action=javascript:hit()><button>",
    "<object data=javascript:hit()>", "<embed src=javascript:hit()>", "<base href=//evil.test/>", "<meta http-equiv=refresh content=0;url=/hit>",
    "<link rel=stylesheet href=/hit>", "<style>*{background:url(/hit)}</style>", "javascript:hit()", "{{constructor.constructor('hit()')()}}",
    "${hit()}", "`${hit()}`", "\\u003cscript\\u003ehit()\\u003c/script\\u003e", "&lt;script&gt;hit()&lt;/script&gt;", "%3Cscript%3Ehit()%3C/script%3E",
    "\x1b]8;;javascript:hit()\x07link\x1b]8;;\x07", "\x1b[31m<img src=x onerror=hit()>\x1b[0m", "\x1b]0;<script>hit()</script>\x07",
]
BRANCH = "<img/src=x/onerror=hit()>"
OWN = "head, head *, header.top, header.top *"
# Elements that none of the page's own scripts makes.
STRANGERS = ("[...document.querySelectorAll('script, iframe, object, embed, base, link, meta, style, video, source, details, math, "
             "body img, svg, [onerror], [onload], [onfocus], [ontoggle], form[action], a[href^=\"javascript:\" i]')]"
             f".filter((e) => !e.matches('{OWN}')).map((e) => e.outerHTML)")


@pytest.fixture(scope="module")
def browser():
    made = browsers.Browser()
    yield made
    made.close()


def log_in(browser, davit, path, token=None):
    open_page(browser, davit.url + path)
    enter(browser, token or davit.token)


def open_page(browser, url):
    """Again where a network ended the request for its script, as whoever finds it empty would do."""
    for _ in range(10):
        browser.go(url)
        if browser.run("return typeof show === 'function' && document.styleSheets.length === 1"):
            return
    raise AssertionError(f"the script of {url} never comes")


def enter(browser, token):
    browser.wait("document.querySelector('input[type=password]')")
    browser.write("input[type=password]", token)
    browser.run("document.querySelector('form button').click()")
    browser.wait("document.querySelector('#nav') && !document.querySelector('#nav').hidden")


def assert_harmless(browser, davit):
    assert browser.run("return window.hits") is None
    assert browser.run(f"return {STRANGERS}") == []
    assert browser.run("return location.origin") == davit.url
    assert not [text for text in browser.complaints() if "Content Security Policy" in text], "it was the policy that saved us"
    assert not [line for line in davit.log.lines if " /hit" in line]


def visit(browser, davit, path, shown):
    """Opens a page with hit() in place before the page's own scripts, and waits until this text stands in it."""
    browser.ask("POST", browser.session + "/goog/cdp/execute", {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {
        "source": "window.hit = () => { window.hits = (window.hits || 0) + 1; }; window.alert = window.hit;"}})
    open_page(browser, davit.url + path)
    browser.wait("document.body.textContent.includes(arguments[0])", shown)
    assert_harmless(browser, davit)


def test_nothing_of_a_build_is_run_as_script(davit, repo, browser):
    davit.add_repo(repo, name="acme/<script>hit()</script>")
    pipeline = f"image: {IMAGE}\nscript:\n  - cat payloads; echo the end of it\n  - echo '<img src=x onerror=hit()>'\n"
    ref = "refs/heads/" + BRANCH
    commit = repo.push({"daocloud.yml": pipeline, "payloads": "\n".join(PAYLOADS) + "\n"}, ref=ref)
    payload = forge.push_payload(commit, ref=ref, message=" ".join(PAYLOADS)[:200] + "\n\n" + "\n".join(PAYLOADS))
    payload["head_commit"]["author"]["name"] = "<svg onload=hit()>"
    payload["head_commit"]["url"] = "javascript:hit()//https://x"
    number = forge.deliver(davit, payload).json["build"]
    assert davit.wait_build(number)["state"] == "passed"
    # And a file that is wrong in a hostile way: its words come back in the reason.
    commit = repo.push({"daocloud.yml": json.dumps({"image": IMAGE, PAYLOADS[2]: 1})})
    wrong = forge.deliver(davit, forge.push_payload(commit, message=PAYLOADS[0])).json["build"]
    assert davit.wait_build(wrong)["state"] == "failed"

    log_in(browser, davit, f"/builds/{number}")
    visit(browser, davit, "/", BRANCH)
    visit(browser, davit, f"/builds/{number}", "the end of it")
    browser.wait("document.body.textContent.includes('All commands succeeded.')")
    assert all(text in browser.run("return document.querySelector('.lines').textContent")
               for text in PAYLOADS if "\x1b" not in text), "shown as it was printed"
    assert_harmless(browser, davit)
    visit(browser, davit, f"/builds/{wrong}", "onerror=hit()")
    visit(browser, davit, "/repos", "acme/<script>hit()</script>")
    raw = davit.ask("GET", f"/api/v1/jobs/{number}.1/log")
    assert raw.headers["Content-Type"].startswith("text/plain") and raw.headers["X-Content-Type-Options"] == "nosniff"
    davit.stop()


def test_what_jobs_left_behind_is_shown(davit, repo, browser):
    davit.add_repo(repo)
    tests = "".join(f"<testcase name={quoteattr(p)}><failure message={quoteattr(p)}/></testcase>"
                    for p in PAYLOADS if "\x1b" not in p)
    commit = repo.push({"junit.xml": f"<testsuite>{tests}</testsuite>", "daocloud.yml": f"""\
image: {IMAGE}
script:
  - echo artifact >file.txt
  - echo '<coverage line-rate="0.75"/>' >coverage.xml
artifacts: [{{name: "a <b> c", paths: file.txt}}]
reports: {{junit: junit.xml, coverage: coverage.xml}}
"""})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "passed", build
    log_in(browser, davit, f"/builds/{number}")
    visit(browser, davit, f"/builds/{number}", "a <b> c")
    count = len([p for p in PAYLOADS if "\x1b" not in p])
    assert f"{count} of {count} tests failed, coverage 75.00 %" in browser.run("return document.querySelector('.files').textContent")
    assert browser.run("return document.querySelectorAll('.failedtest').length") == count
    href = browser.run("return document.querySelector('.files a').getAttribute('href')")
    assert davit.ask("GET", href).status == 200
    assert_harmless(browser, davit)
    davit.stop()


def test_the_jobs_of_a_graph_stand_in_columns_and_run_again_in_part(browser, davit, repo):
    davit.add_repo(repo)
    jobs = {"compile": {"script": ["echo compile"]}, "lint": {"script": ["exit 1"], "allow_failure": True},
            "test": {"needs": ["compile"], "script": ["exit 1"]}, "deploy": {"needs": ["lint", "test"], "script": ["echo deploy"]}}
    commit = repo.push({"daocloud.yml": json.dumps({"image": IMAGE, "jobs": jobs})})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number)
    log_in(browser, davit, f"/builds/{number}")
    browser.wait("document.querySelectorAll('.jobs.graph .step').length === 3")
    columns = browser.run("return [...document.querySelectorAll('.step')].map((s) => [...s.querySelectorAll('.name')].map((n) => n.textContent))")
    assert columns == [["compile", "lint"], ["test"], ["deploy"]]
    facts = browser.run("return document.querySelector('.jobfacts').textContent")
    assert "needs compile" in facts, "the one that failed is shown, not the one that may fail"
    browser.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Run failed jobs again').click()")
    browser.wait("location.pathname === arguments[0]", f"/builds/{number + 1}")
    browser.wait("document.querySelector('.job.reused .name')")
    assert browser.run("return document.querySelector('.job.reused .name').textContent") == "compile"


def test_a_deployment_is_approved_on_its_job(browser, davit, repo):
    davit.add_repo(repo)
    davit.api("PUT", "/repos/app/environments/live", {"approve": True, "command": "echo deploying"})
    commit = repo.push({"daocloud.yml": json.dumps({"image": IMAGE, "jobs": {"live": {"deploy": "live"}}})})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    log_in(browser, davit, f"/builds/{number}")
    browser.wait("[...document.querySelectorAll('.jobfacts button')].some((b) => b.textContent === 'Approve')")
    browser.run("[...document.querySelectorAll('.jobfacts button')].find((b) => b.textContent === 'Approve').click()")
    assert davit.wait_build(number)["state"] == "passed"
    button(browser, "Deploy to live")
    browser.wait("location.pathname === arguments[0]", f"/builds/{number + 1}")
    browser.wait("document.body.textContent.includes(arguments[0])", "deployed again to live, of #1")


def while_a_network_comes(browser, davit, path, action):
    """Chromium ends what waits for a connection when the machine's networks change, as they do with each job of an engine there:
    the request for path, that is, which the action makes."""
    browser.complaints()
    os.kill(davit.process.pid, signal.SIGSTOP)
    try:
        take_all_connections(browser, davit)
        browser.run(action)
        for _ in range(30):  # the request is not there at once
            come_and_go()
            if browser.has_complained(path, "ERR_NETWORK_CHANGED"):
                return
        raise AssertionError(f"no network has ended the request for {path}")
    finally:
        os.kill(davit.process.pid, signal.SIGCONT)


def take_all_connections(browser, davit):
    """A server gets six; who asks then has to wait. A network may end a request of these, too, before it has a connection."""
    browser.run("const take = (i) => fetch('/api/v1/me?' + i).catch(() => take(i)); for (let i = 0; i < 6; i++) take(i);")
    deadline = time.monotonic() + 60
    while connections(davit.port) < 6:
        assert time.monotonic() < deadline, "the browser does not take its connections"
        time.sleep(0.05)


def connections(port):
    """How many there are to the port, taken or not."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def come_and_go():
    link = f"dv{os.getpid()}"  # two runs on one machine are nothing to each other
    subprocess.run(["ip", "link", "add", link, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", link], check=True)
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
    finally:
        subprocess.run(["ip", "link", "delete", link], check=True)


def test_a_network_that_comes_breaks_no_page(browser, davit, repo):
    davit.add_repo(repo)
    log_in(browser, davit, "/")
    while_a_network_comes(browser, davit, "/api/v1/repos", "go('/repos')")
    browser.wait("document.querySelector('.card.repo') !== null")
    assert browser.run("return document.querySelector('.notice.problem')") is None


def test_a_network_that_comes_breaks_no_login(browser, davit):
    open_page(browser, davit.url + "/")
    browser.wait("document.querySelector('input[type=password]')")
    browser.write("input[type=password]", davit.token)
    while_a_network_comes(browser, davit, "/login", "document.querySelector('form button').click()")
    browser.wait("document.querySelector('.login') === null && !document.querySelector('#nav').hidden")


def test_a_network_that_comes_breaks_no_change(browser, davit, repo):
    """What may be done twice without harm: something put, and deleted."""
    davit.add_repo(repo)
    log_in(browser, davit, "/repos")
    button(browser, "Schedules…")
    browser.write("input[name=name]", "nightly")
    browser.write("input[name=cron]", "30 3 * * *")
    path = "/api/v1/repos/app/crons/nightly"
    while_a_network_comes(browser, davit, path, "[...document.querySelectorAll('button')].find((b) => b.textContent === 'Add schedule').click()")
    row = "[...document.querySelectorAll('dl.pair')].find((e) => e.querySelector('dt').textContent === 'nightly')"
    browser.wait(row + " !== undefined")
    while_a_network_comes(browser, davit, path, row + ".querySelector('button').click()")
    browser.wait(row + " === undefined")
    assert davit.api("GET", "/repos/app/crons")["crons"] == []
    assert browser.run("return document.querySelector('.notice.problem')") is None


def test_an_answer_that_is_cut_off(browser, davit, repo):
    """The page asks again by the same key, and the build is run again once."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"image: {IMAGE}\nwhen: {{branch: nowhere}}\nscript: [echo never]\n")
    davit.wait_build(number)
    cutter = Cutter(davit.port, "/rerun", 10, 60, -1)
    open_page(browser, cutter.url + f"/builds/{number}")
    enter(browser, davit.token)
    button(browser, "Run again")
    browser.wait("location.pathname === arguments[0]", f"/builds/{number + 1}")
    browser.wait("document.querySelector('.head .facts')?.textContent.includes(arguments[0])", f"#{number + 1}")
    cutter.close()
    assert cutter.requests >= 4 and len(davit.api("GET", "/builds")["builds"]) == 2


def button(browser, words):
    """Waits for it and presses it."""
    find = "[...document.querySelectorAll('button')].find((b) => b.textContent === arguments[0])"
    browser.wait(find + " !== undefined", words)
    browser.run(find + ".click()", words)


def type_line(browser, text):
    browser.write("dialog input[name=line]", text + "\ue007")


def test_a_terminal_in_a_held_job(browser, davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nhold_on_failure: 5m\nscript:\n  - echo '<b>here</b>' > left.txt; exit 3\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    assert "held for debugging" in davit.wait_build(number)["jobs"][0]["reason"]
    log_in(browser, davit, f"/builds/{number}")
    shown = "document.querySelector('dialog.terminal .lines').textContent.includes(arguments[0])"
    button(browser, "Open a terminal")
    type_line(browser, "cat left.txt; echo sum $((40 + 2))")
    browser.wait(shown, "sum 42")
    assert browser.run("return " + shown, "<b>here</b>"), "text, as everything is"
    type_line(browser, "exit 7")
    browser.wait(shown, "the shell ended with exit code 7")
    assert browser.run("return document.querySelector('dialog input').disabled")
    button(browser, "Close")
    browser.wait("document.querySelector('dialog') === null")
    button(browser, "End the holding")
    davit.log.wait(f"releases job {number}.1")
    button(browser, "Open a terminal")
    browser.wait(shown, "not held any more")
    assert not [text for text in browser.complaints() if "Content Security Policy" in text]


def test_the_environments_of_a_repository(browser, davit, repo):
    """What is deployed, what was before, the lock and the way back, all as text."""
    davit.add_repo(repo)
    davit.api("PUT", "/repos/app/environments/live", {"command": "echo deploying"})
    numbers = []
    for n in ("one", "two"):
        commit = repo.push({"daocloud.yml": json.dumps({"image": IMAGE, "jobs": {"live": {"deploy": "live"}}}), "n": n})
        numbers.append(forge.deliver(davit, forge.push_payload(commit)).json["build"])
        assert davit.wait_build(numbers[-1])["state"] == "passed"
    log_in(browser, davit, "/repos")
    button(browser, "Environments…")
    shown = "document.querySelector('.environment')?.textContent.includes(arguments[0])"
    browser.wait(shown, f"#{numbers[1]}")
    assert not browser.run("return " + shown, f"#{numbers[0]}"), "only what is deployed now"
    button(browser, "History")
    browser.wait(shown, f"#{numbers[0]}")
    browser.write(".environment input[name=reason]", "<b>freeze</b>")
    button(browser, "Lock")
    browser.wait(shown, "Locked by admin: <b>freeze</b>")
    button(browser, "Roll back")
    browser.wait("location.pathname === arguments[0]", f"/builds/{numbers[1] + 1}")
    browser.wait("document.body.textContent.includes('waits for environment live: locked by admin: <b>freeze</b>')")
    visit(browser, davit, "/repos", "Environments…")
    button(browser, "Environments…")
    button(browser, "Unlock")
    browser.wait("document.querySelector('.environment input[name=reason]')")
    assert davit.wait_build(numbers[1] + 1)["state"] == "passed"
    visit(browser, davit, f"/builds/{numbers[1] + 1}", "deployed again to live, of #1")
    visit(browser, davit, "/repos", "Insights…")
    button(browser, "Insights…")
    browser.wait("[...document.querySelectorAll('.environment')].some((e) => /^live.*deployed 3 times/.test(e.textContent))")
    assert browser.run("return document.querySelectorAll('.days rect.good').length") > 0


def test_buttons_are_those_of_the_role(browser, davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: ['true']\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number)
    again = "[...document.querySelectorAll('button')].some((b) => b.textContent === 'Run again' && b.checkVisibility())"
    for name, role in (("rita", "read"), ("dora", "develop")):
        log_in(browser, davit, f"/builds/{number}", davit.api("PUT", f"/tokens/{name}", {"role": role})["token"])
        browser.wait("document.getElementById('me').textContent === arguments[0]", f"{name} · {role}")
        browser.wait("document.querySelector('.facts')")
        assert browser.run("return " + again) == (role == "develop")
        button(browser, "Log out")
        browser.wait("document.querySelector('input[type=password]')")


def test_the_mirror_has_a_page(browser, make_davit):
    davit = make_davit(mirror={"listen": ["127.0.0.1:0"]})
    log_in(browser, davit, "/mirror")
    browser.wait("document.querySelector('.pair')?.textContent.includes('of 0 replies')")
    assert "127.0.0.1:" in browser.run("return document.querySelector('.pair').textContent")
    bare = make_davit()
    log_in(browser, bare, "/mirror")
    browser.wait("document.querySelector('.notice.problem')?.textContent.includes('this server has no mirror')")


def test_a_page_that_is_left_gives_up_its_streams(browser, davit):
    """A browser has six connections to a server: pages that are kept for the way back must not hold them."""
    log_in(browser, davit, "/")
    browser.wait("feed.source !== null && feed.source.readyState === EventSource.OPEN")
    browser.run("window.source = feed.source; window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    assert browser.run("return feed.source === null && source.readyState === EventSource.CLOSED")
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    browser.wait("feed.source !== null && feed.source.readyState === EventSource.OPEN")
