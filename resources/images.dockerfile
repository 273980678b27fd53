# The image of a Bento, for `bentoml containerize`. Another base, with Python of the same version in it:
#   --opt build-arg=BASE=registry.example.com/python:3.11-slim
ARG BASE=docker.io/library/python:3.11-slim

# pip and whatever it leaves behind stay in this stage. Wheels alone: nothing is built, and no setup.py is run.
# Bytecode of packages' own tests would be half of NumPy's.
FROM ${BASE} AS packages
COPY env/python/requirements.txt /tmp/requirements.txt
RUN python -m venv --without-pip /app/.venv \
    && python -m pip --python /app/.venv install --no-cache-dir --no-compile --only-binary :all: \
       --disable-pip-version-check -r /tmp/requirements.txt \
    && /app/.venv/bin/python -m compileall -q -x /tests/ /app/.venv/lib

FROM ${BASE}
LABEL {% raw %}@labels@{% endraw %}

# BENTOML_HOME is for what BentoML writes while it runs; with BENTO_PATH read-only, /tmp is all that has to be writable.
ENV BENTO_PATH={{ bento__path }} \
    BENTOML_HOME=/tmp/bentoml \
    BENTOML_CONTAINERIZED=true \
{% for name, value in __options__env.items() %}
    {{ name }}={{ value }} \
{% endfor %}
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY --from=packages /app/.venv /app/.venv
COPY . {{ bento__path }}
RUN chmod +x {{ bento__path }}/env/docker/entrypoint.sh \
    && /app/.venv/bin/python -m compileall -q {{ bento__path }}/src

# A number, so that Kubernetes can tell that it is not root; it owns nothing.
USER {{ bento__uid_gid }}:{{ bento__uid_gid }}
WORKDIR {{ bento__path }}
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/app/.venv/bin/python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('BENTOML_PORT', '3000') + '/readyz', timeout=4)"]
ENTRYPOINT ["{{ bento__path }}/env/docker/entrypoint.sh"]
CMD []
