# One image for web, worker and scheduler; compose.yaml says which command each runs.
FROM python:3.11-slim AS packages
RUN python -m venv /srv/venv
COPY requirements.lock /srv/
RUN /srv/venv/bin/pip install --no-cache-dir --require-hashes -r /srv/requirements.lock

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home ecrf \
    && install --directory --owner ecrf --mode 0750 /var/lib/ecrf
COPY --from=packages /srv/venv /srv/venv
WORKDIR /srv/ecrf
COPY manage.py ./
COPY registry registry
COPY crf crf
COPY exports exports
COPY docs docs
# The plotting library that lifelines brings wants a folder to write to; /tmp is writable in a read-only container too.
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    STATIC_DIR=/srv/static \
    VAR_DIR=/var/lib/ecrf \
    WEB_CONCURRENCY=2
# Collecting needs settings but no server and no secret of anybody's: these are thrown away with the command.
RUN VAR_DIR=/tmp/build MAKE_SECRETS=true \
    DATABASE_URL=postgresql://nobody@127.0.0.1:1/nothing BROKER_URL=redis://127.0.0.1:1/0 \
    python manage.py collectstatic --no-input \
    && python -m compileall -q registry crf exports \
    && rm -rf /tmp/build
USER ecrf
EXPOSE 8000
# That it is alive; compose.yaml asks whether it is ready. The programs of PostgreSQL for backups come with the packages.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-m", "registry.probe", "/healthz"]
CMD ["gunicorn", "-c", "python:registry.web_server", "--bind", "0.0.0.0:8000", "registry.wsgi"]
