# The image of jangbu: the command `jangbu` and everything it needs, as a user without rights.
#
#   docker build -t jangbu:local .
#   docker run --rm jangbu:local --help
#
# Works with BuildKit and with the classic builder. A package index other than pip's default is given as
# `--build-arg PIP_INDEX_URL=...` (the value is seen in the image's history of the build stage: no passwords in it);
# proxies by Docker's own build arguments HTTP_PROXY, HTTPS_PROXY, NO_PROXY.
FROM python:3.11-slim-bookworm AS build
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/jangbu && python -m venv /opt/wheel-builder
# The dependencies are a layer of their own: it changes with the pins, not with the code.
COPY requirements/install.sh requirements/installer.txt requirements/run.txt docker/build-requirements.txt ./
RUN /opt/wheel-builder/bin/pip install --require-hashes -r installer.txt -r build-requirements.txt \
    && UV_NO_CACHE=1 ./install.sh /opt/jangbu run.txt /opt/wheel-builder/bin/uv
COPY pyproject.toml README.md LICENSE ./
COPY producers producers
COPY streams streams
COPY billing billing
COPY sql sql
COPY jangbu jangbu
# Without build isolation nothing is fetched that is not pinned above; `pip check` fails where pins no longer fit.
RUN /opt/wheel-builder/bin/pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && /opt/jangbu/bin/pip install --no-deps dist/*.whl \
    && /opt/jangbu/bin/pip check

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="jangbu" org.opencontainers.image.licenses="Apache-2.0"
# The numbers are fixed, so that a host can give rights to files in a volume.
RUN groupadd --gid 10001 jangbu \
    && useradd --uid 10001 --gid jangbu --no-create-home --home-dir /var/lib/jangbu --shell /usr/sbin/nologin jangbu \
    && install -d -o jangbu -g jangbu -m 0750 /var/lib/jangbu
COPY --from=build /opt/jangbu /opt/jangbu
COPY docker/worker_health.py /opt/jangbu/worker_health.py
ENV PATH=/opt/jangbu/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8 \
    JANGBU_DATA_DIR=/var/lib/jangbu
USER jangbu
# No VOLUME: a worker keeps nothing here that must last, and `ingest` and `up` get a volume with a name.
WORKDIR /var/lib/jangbu
# For a long-running container: its process is awake and connected to both of its services. A container that runs one
# command and ends never reaches the first check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "/opt/jangbu/worker_health.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["jangbu"]
CMD ["--help"]
