#!/bin/bash
# KAFKA_* of the environment become server.properties and an empty data directory is formatted, both by the class
# that the public image runs (kafka.docker.KafkaDockerWrapper); then the broker starts. Without any KAFKA_* the
# default single node of /etc/kafka/docker/server.properties runs.
set -euo pipefail

export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
config=/opt/kafka/config
if ! said=$(/opt/kafka/bin/kafka-run-class.sh kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config \
    --final-configs-dir $config 2>&1); then
    # A data directory from an earlier start keeps what it holds.
    grep -qi 'already formatted' <<<"$said" || { echo "$said" >&2; exit 1; }
fi
export KAFKA_SIMPLE_LOG_LEVEL=info
exec /opt/kafka/bin/kafka-server-start.sh $config/server.properties
