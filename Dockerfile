# ark-node in a container. The app and its deno come from the npm registry; nothing else is downloaded.
#
#   docker build -t ark-node .
#   docker run -d --name ark --network host -v ark:/data -v /srv/models:/models:ro ark-node --models /models
#   docker exec ark ark-node status
#
# The owner's API listens on the loopback, and in a container that is the container's own. So use --network host, which
# mDNS needs as well; or publish the mesh (-p 8911:8911), name neighbours with --peer, and ask by
# `docker exec ark ark-node ask MODEL`. With --listen 0.0.0.0:8910 and -p 127.0.0.1:8910:8910 the host's apps reach the
# API, each with a key of `docker exec ark ark-node keys create NAME`. Data lie in /data and belong to user 10001; a host folder that
# is mounted there needs that owner and mode 0700. The root file system may be read-only (--read-only); starts take longer
# then.
#
# packaging/compose.yaml has it on a NAS with Open WebUI and LiteLLM beside it, packaging/kubernetes/ark.yaml in a fleet of GPUs.
#
# GPUs: VARIANT chooses which builds of llama.cpp travel, BASE a system that has what they need, such as
#   docker build --build-arg VARIANT=cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 -t ark-node:cuda .
# (and run with --gpus all); VARIANT=vulkan needs a BASE with libvulkan1 and the driver for the card.

ARG BASE=debian:bookworm-20251229-slim

FROM node:22.12.0-bookworm-slim AS build
ARG VARIANT=cpu
WORKDIR /src
RUN npm install --global deno@2.9.6
# Packages change seldom, so they are a layer of their own.
COPY deno.json deno.lock ./
RUN deno install --frozen
COPY . .
# The portable executable, unpacked where it will lie: a container needs no first start. One run there fills the cache of
# what Deno knows of the modules; the node goes on writing it, and does without where the file system is read-only.
RUN ./compile.sh --portable --variant "$VARIANT" --output /tmp/ark-node \
  && ARK_CACHE=/tmp/unpacked /tmp/ark-node --version \
  && mv /tmp/unpacked/* /opt/ark-node \
  && rm -r /opt/ark-node/cache && /opt/ark-node/ark-node --version \
  && mv /opt/ark-node/cache /opt/cache \
  && chmod -R a+rX,go-w /opt/ark-node

FROM $BASE
LABEL org.opencontainers.image.title="ark-node" \
  org.opencontainers.image.description="Your machines answer each other's questions to language models" \
  org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 ark \
  && useradd --uid 10001 --gid ark --no-create-home --home-dir /data --shell /usr/sbin/nologin ark \
  && install -d -o ark -g ark -m 0700 /data
COPY --from=build /opt/ark-node /opt/ark-node
COPY --from=build --chown=10001:10001 /opt/cache /opt/ark-node/cache
ENV PATH=/opt/ark-node:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ARK_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8910 8911
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["ark-node", "status"]
ENTRYPOINT ["ark-node"]
