# Where GitLab runs .ci/cluster: Python, the client of the Docker beside it, and podman.
FROM docker:28-cli AS docker
FROM python:3.11-bookworm
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
COPY --from=docker /usr/local/libexec/docker/cli-plugins /usr/local/libexec/docker/cli-plugins
RUN apt-get update -qq && apt-get install -y -qq podman iptables \
 && printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' > /etc/containers/containers.conf
