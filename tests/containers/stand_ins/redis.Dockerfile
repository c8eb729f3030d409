# Stands in for docker.io/library/redis where no registry can be reached: Debian's Redis at the same paths.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN groupadd --gid 999 redis && useradd --uid 999 --gid 999 --home-dir /data redis \
 && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* && install -d -o redis -g redis /data /secrets
USER redis
WORKDIR /data
EXPOSE 6379
CMD ["redis-server", "--bind", "*"]
