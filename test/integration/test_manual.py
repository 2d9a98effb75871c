"""The examples of doc/pipeline.md, each built on the engine: with the repository that they have in mind, and an image of tools
that pretend, as no test pulls golang or mysql. What a line of a script does is not looked at here, but that each job comes to
its container, with its services, variables, files and steps, and to its end."""

import os
import re
import subprocess

import pytest

import forge
import server

MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "doc", "pipeline.md")
IMAGE = "davit-test/manual:latest"
TOOLS = "make go python pip pytest npm apt-get mysql redis-cli kubectl".split()
# What any of them leaves behind: programs, packages, reports.
TOOL = r"""#!/bin/sh
mkdir -p bin dist build report
printf '#!/bin/sh\necho 1.0\n' >bin/app && chmod +x bin/app && cp bin/app dist/app && echo built >build.log
echo '<testsuite tests="1"><testcase classname="c" name="n" time="0.1"/></testsuite>' >report/tests.xml
echo '<coverage line-rate="0.5" lines-valid="2" lines-covered="1"/>' >coverage.xml
"""
# As an image of a job it is given another command; as that of a service it is a database of any kind.
DOCKERFILE = f"""FROM {server.IMAGE}
COPY tool /usr/bin/tool
RUN for name in {" ".join(TOOLS)}; do ln -s tool /usr/bin/$name; done; mkdir -p /go/pkg/mod /opt/app
CMD ["sh", "-c", "for p in 3306 5432 6379 27017; do nc -ll -p $p -e true & done; wait"]
"""
FILES = {
    "Makefile": "", "requirements.txt": "", "go.sum": "a v1 h1:x", "package.json": "{}", "src/Makefile": "", "src/main.c": "",
    "release.sh": "#!/bin/sh\n", "tell.sh": "#!/bin/sh\n", "ci/common.yml": "env: {COMMON: \"1\"}\n", "server/main.go": "",
    "Dockerfile": f"FROM {IMAGE}\n", "server/Dockerfile": f"FROM {IMAGE} AS run\nARG VERSION\n",
    "docker/Dockerfile": f"FROM {IMAGE}\n", "Dockerfile.package": "FROM scratch\nCOPY . /\n",
    "Dockerfile.compile": f"FROM {IMAGE}\nRUN mkdir -p /usr/bin && echo app >/usr/bin/app\n",
}
# Those that come to something else than a build that passed: a word of the example, and the build's state.
OTHER_ENDS = {
    'tags: ["registry.example/app:': "error",  # nobody is there to push to
    "as: [version, minor, latest, branch-sha]": "error",
    "registry.example/boat:": "failed",  # nor to be asked for an application's image
}


def examples():
    with open(MANUAL, encoding="utf-8") as file:
        return re.findall(r"^```yaml\n(.*?)^```", file.read(), re.S | re.M)


@pytest.fixture
def manual(make_davit, docker, repo, tmp_path):
    """A davitd for which every image is the one of the pretending tools, and a repository with all that the examples name."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "tool").write_text(TOOL)
    (context / "tool").chmod(0o755)
    (context / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, "build", "-q", "-t", IMAGE, str(context)], check=True,
                   capture_output=True, env={"DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"})
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "golang.yml").write_text("env: {GO: \"1\"}\n")
    davit = make_davit(image_aliases={"*": IMAGE}, templates=str(templates), builder={"cpus": 2},
                       engines=[{"url": server.ENGINE, "slots": 4, "labels": {"arch": "amd64"}}])
    davit.add_repo(repo)
    for name in ("NPM_TOKEN", "codecov-boat", "CLUSTER_TOKEN"):
        made = davit.cli("secret", "set", name, "--repo", "app", input="a value of some length")
        assert made.returncode == 0, made.stderr
    for name in ("staging", "production"):
        made = davit.cli("environment", "set", "app", name, "--image", "debian:bookworm", "--command", "echo deploying")
        assert made.returncode == 0, made.stderr
    made = davit.cli("environment", "set", "app", "live", "--kind", "engine")
    assert made.returncode == 0, made.stderr
    repo.write(FILES)
    for script in ("release.sh", "tell.sh"):
        os.chmod(os.path.join(repo.tree, script), 0o755)
    return davit


def start(davit, repo, number, text):
    """By what it is made for: a tag, a start by hand, or a push."""
    files = {"daocloud.yml": text, "src/main.c": f"// {number}\n"}
    ref = f"refs/tags/v1.{number}" if re.search(r"tag: \"?v", text) else "refs/heads/main"
    commit = repo.push(files, ref=ref)
    if "parameters:" in text:
        started = davit.cli("start", "app", "--branch", "main", "--commit", commit, "--param", "version=2")
        assert started.returncode == 0, started.stderr
        return int(re.search(r"\d+", started.stdout).group())
    return forge.deliver(davit, forge.push_payload(commit, ref=ref)).json["build"]


def end_of(davit, number, text):
    if "approve: true" in text:
        davit.wait_waiting(f"{number}.2", "an approval")
        assert davit.cli("approve", f"{number}.2").returncode == 0
    return davit.wait_build(number)


def test_the_examples_run(manual, repo):
    texts = examples()
    assert len(texts) >= 30
    numbers = [start(manual, repo, number, text) for number, text in enumerate(texts)]
    for number, text in zip(numbers, texts):
        build = end_of(manual, number, text)
        expected = next((state for word, state in OTHER_ENDS.items() if word in text), "passed")
        if build["state"] != expected:
            logs = [manual.job_log(f"{number}.{k + 1}").decode(errors="replace") for k in range(len(build["jobs"]))]
            pytest.fail("\n".join([text, str(build), *logs]))
