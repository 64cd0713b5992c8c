# vidaug in a container. It is linted with the other checks, and not built by them.
#
#   docker build -t vidaug .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" vidaug augment videos -o shards -r fademixup
#
# torch as pip takes it brings CUDA's libraries, and needs no more of the machine than its driver. BASE is any image with
# Python 3.11 or newer and pip, such as one of CUDA's or torch's own; a torch that is in it already is kept. Without a
# GPU the image is some 5 GB smaller with torch's builds for the CPU, from the index that pytorch.org names:
#
#   docker build -t vidaug --build-arg TORCH_INDEX=https://... .
ARG BASE=python:3.12-slim
FROM ${BASE}

ARG TORCH_INDEX=
# hadolint ignore=DL3013
RUN if [ -n "${TORCH_INDEX}" ]; then \
        python3 -m pip install --no-cache-dir --index-url "${TORCH_INDEX}" torch torchvision; \
    fi
COPY pyproject.toml README.md LICENSE /source/
COPY recipes /source/recipes
COPY vidaug_cli /source/vidaug_cli
# hadolint ignore=DL3013
RUN python3 -m pip install --no-cache-dir '/source[plots]'

WORKDIR /work
ENV XDG_CACHE_HOME=/tmp/cache
ENTRYPOINT ["vidaug"]
