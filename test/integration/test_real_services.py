"""Services as people have them: PostgreSQL and Redis out of Debian's packages, beside a job that talks to them."""

import subprocess

import pytest

import forge
import server

pytestmark = pytest.mark.xdist_group("debian")

POSTGRES = """FROM {debian}
USER postgres
RUN P=$(echo /usr/lib/postgresql/*/bin) && $P/initdb -A trust -D /var/lib/postgresql/data >/dev/null \\
    && echo "host all all all trust" >>/var/lib/postgresql/data/pg_hba.conf && ln -s $P /var/lib/postgresql/bin
HEALTHCHECK CMD ["/usr/bin/pg_isready", "-q", "-h", "127.0.0.1"]
CMD ["/var/lib/postgresql/bin/postgres", "-D", "/var/lib/postgresql/data", "-c", "listen_addresses=*", "-k", "/tmp"]
"""
REDIS = """FROM {debian}
USER redis
WORKDIR /tmp
CMD ["/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
"""
PIPELINE = """
image: {debian}
services:
  - {{name: db, image: "davit-test/postgres:15"}}
  - {{name: redis, image: "davit-test/redis:7", ready: 6379}}
script:
  - psql -h db -U postgres -c 'create table boats (name text)' -c "insert into boats values ('davit')"
  - psql -h db -U postgres -At -c 'select name from boats'
  - redis-cli -h "$REDIS_PORT_6379_TCP_ADDR" -p "$REDIS_PORT_6379_TCP_PORT" set key value
  - redis-cli -h redis get key
"""


@pytest.fixture(scope="session")
def services(debian_image):
    for tag, dockerfile in (("davit-test/postgres:15", POSTGRES), ("davit-test/redis:7", REDIS)):
        subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, "build", "-q", "-t", tag, "-"], check=True, capture_output=True,
                       input=dockerfile.format(debian=debian_image).encode(), env={"DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"})
    return debian_image


def test_postgresql_is_awaited_by_its_health_and_redis_by_its_port(davit, repo, docker, services):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PIPELINE.format(debian=services)})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number, timeout=300)
    log = davit.job_log(f"{number}.1").decode(errors="replace")
    assert build["state"] == "passed", log[-3000:]
    assert "INSERT 0 1\n" in log and "\ndavit\n" in log and "\nOK\n" in log and "\nvalue\n" in log, log
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.job={number}.1") == ""
