"""The main job on real input: libyaml's own source tree, built and tested by its own suite in a Debian image."""

import json
import os
import subprocess
import urllib.parse

import pytest

import forge

pytestmark = pytest.mark.xdist_group("debian")


def deb_src():
    """The sources of the distribution that this machine takes its packages from."""
    fields = "$(ORIGIN) $(LABEL) $(REPO_URI) $(CODENAME) $(COMPONENT)"
    lists = subprocess.run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
                           capture_output=True, text=True, check=True).stdout
    for line in lists.splitlines():
        origin, label, uri, codename, component = line.split()
        if origin == label and origin in ("Debian", "Ubuntu") and "-" not in codename:
            return f"deb-src {uri} {codename} {component}\n"
    raise AssertionError("apt knows no Debian or Ubuntu: " + lists)


@pytest.fixture
def libyaml(tmp_path):
    """Debian's source package, unpacked."""
    lists = tmp_path / "lists"
    (lists / "partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text(deb_src())
    options = ["-o", f"Dir::Etc::sourcelist={tmp_path}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root"]
    subprocess.run(["apt-get", *options, "update", "-qq"], check=True, cwd=tmp_path)
    subprocess.run(["apt-get", *options, "source", "-qq", "libyaml"], check=True, cwd=tmp_path, capture_output=True)
    tree = next(path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith("libyaml-"))
    return {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}


def test_libyaml_builds_and_passes_its_own_tests(davit, repo, receiver, docker, debian_image, libyaml):
    for name, path in libyaml.items():
        target = os.path.join(repo.tree, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(path, "rb") as source, open(target, "wb") as copy:
            copy.write(source.read())
        os.chmod(target, path.stat().st_mode)
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    commit = repo.push({"daocloud.yml": f"""\
image: {debian_image}
env:
  - CFLAGS = "-O1"
before_script:
  - git status --short
  - git log -1 --format=%H
  - ./bootstrap
  - ./configure
script:
  - make -j2
  - make check
"""}, message="Import libyaml")
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number, timeout=900)
    log = davit.job_log(f"{number}.1").decode(errors="replace")
    assert build["state"] == "passed", log[-3000:]
    assert commit in log, "the workspace has a real .git"
    assert "# PASS:" in log and "# FAIL:  0" in log, log[-3000:]
    posted = receiver.wait(lambda rs: any(json.loads(r["body"])["state"] == "success" for r in rs))
    assert posted[-1]["path"].endswith(urllib.parse.quote(commit))
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.job={number}.1") == ""
