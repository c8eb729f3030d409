# Three images from one file:
#   service      REST, dashboard, `ganvas migrate` and `ganvas token`; no torch
#   worker       trains on NVIDIA cards: torch from PyPI brings the CUDA runtime with it
#   worker-cpu   trains on processors
# Build with the commit that is built: --build-arg GANVAS_COMMIT=$(git rev-parse HEAD)
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The folders belong to the user before a volume is mounted there: an empty volume takes over their owner.
RUN groupadd --gid 10001 ganvas \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin ganvas \
 && install -d -o ganvas -g ganvas /data /datasets /secrets \
      /secrets/postgres /secrets/redis /secrets/service /secrets/store /secrets/worker

# What the code needs, from the lock. The project is still empty here, so a change of the code leaves these layers alone.
FROM base AS needs
WORKDIR /src
COPY pyproject.toml requirements.lock ./
RUN touch README.md LICENSE && python3 -m venv --without-pip /opt/ganvas
# pip stays outside of what is installed; unchecked hashes make the same bytecode whenever it is built. It reports files
# that are written for a newer Python, of which torch has some.
ENV INSTALL="python3 -m pip --python /opt/ganvas/bin/python install --no-compile --constraint requirements.lock" \
    COMPILE="/opt/ganvas/bin/python -m compileall -qq --invalidation-mode unchecked-hash" \
    SITE=/opt/ganvas/lib/python3.*/site-packages

FROM needs AS service-needs
RUN $INSTALL '.[server,postgres,s3,figures]' && { $COMPILE $SITE || true; }

FROM needs AS worker-needs
RUN $INSTALL '.[server,train]' && { $COMPILE $SITE || true; }

FROM needs AS worker-cpu-needs
# PyPI has no builds of torch for processors alone. Empty: take PyPI's, without the 4 GB of CUDA's libraries and Triton
# that it asks for; stand-ins of some kilobytes take their places.
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
COPY docker/without_cuda.py ./
RUN if [ -n "$TORCH_CPU_INDEX" ]; then $INSTALL --index-url "$TORCH_CPU_INDEX" torch torchvision; else \
      $INSTALL --no-deps torch torchvision \
      && python3 -m pip install --target /tools ziglang==0.17.1 pyelftools==0.33 \
      && PYTHONPATH=/tools ZIG_GLOBAL_CACHE_DIR=/tools/cache python3 without_cuda.py $SITE python3 -m ziglang cc \
      && rm -rf /tools; fi \
 && $INSTALL '.[server,train]' && { $COMPILE $SITE || true; }

FROM base AS code
WORKDIR /src
COPY . .
RUN python3 -m pip wheel --no-deps --wheel-dir /wheels .

FROM service-needs AS service-build
COPY --from=code /wheels /wheels
RUN $INSTALL --no-deps --force-reinstall /wheels/*.whl \
 && cd $SITE && $COMPILE api dashboard ganlib ganvas recipes worker

FROM worker-needs AS worker-build
COPY --from=code /wheels /wheels
RUN $INSTALL --no-deps --force-reinstall /wheels/*.whl \
 && cd $SITE && $COMPILE api dashboard ganlib ganvas recipes worker

FROM worker-cpu-needs AS worker-cpu-build
COPY --from=code /wheels /wheels
RUN $INSTALL --no-deps --force-reinstall /wheels/*.whl \
 && cd $SITE && $COMPILE api dashboard ganlib ganvas recipes worker

# What every image has in common: the user, where things lie, and the commit, which a job's provenance names.
FROM base AS image
ARG GANVAS_COMMIT=""
# Buildah 1.28 takes label and variable from its cache though the argument has changed, but not what a command does with it.
RUN test -z "$GANVAS_COMMIT" || echo "$GANVAS_COMMIT" | grep --extended-regexp --line-regexp '[0-9a-f]{40}'
LABEL org.opencontainers.image.title="Ganvas" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GANVAS_COMMIT}"
ENV PATH=/opt/ganvas/bin:$PATH GANVAS_COMMIT=${GANVAS_COMMIT} GANVAS_HOME=/data GANVAS_DATA=/datasets HOME=/data MPLCONFIGDIR=/tmp \
    OMP_WAIT_POLICY=passive
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["ganvas"]

FROM image AS worker
COPY --from=worker-build /opt/ganvas /opt/ganvas
CMD ["worker"]

FROM image AS worker-cpu
COPY --from=worker-cpu-build /opt/ganvas /opt/ganvas
CMD ["worker"]

FROM image AS service
COPY --from=service-build /opt/ganvas /opt/ganvas
ENV GANVAS_HOST=0.0.0.0
EXPOSE 8000
CMD ["up", "--no-worker"]
