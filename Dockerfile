# The broker alone: PostgreSQL and Redis run beside it (docker-compose.yml).
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/pxbox \
    && /opt/pxbox/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY actors actors
COPY pxbox pxbox
COPY schemas schemas
RUN /opt/pxbox/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/pxbox --create-home pxbox
COPY --from=build /opt/pxbox /opt/pxbox
USER pxbox
WORKDIR /var/lib/pxbox
ENV PATH=/opt/pxbox/bin:$PATH \
    PXBOX_HOST=0.0.0.0 \
    PXBOX_PORT=8080 \
    PXBOX_DATA_DIR=/var/lib/pxbox/data \
    PXBOX_LOG_FORMAT=json
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["pxbox"]
CMD ["serve"]
