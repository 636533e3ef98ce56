#!/bin/bash
# Every script of /opt/kafka/bin is this file under another name: the name says which class of Kafka's is run.
# The environment variables are Kafka's own: KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_OPTS.
set -euo pipefail

heap=-Xmx256m
case $(basename "$0") in
    kafka-run-class.sh) class=${1:?which class?}; shift ;;
    kafka-server-start.sh) class=kafka.Kafka heap='-Xmx1G -Xms1G' ;;
    kafka-storage.sh) class=kafka.tools.StorageTool ;;
    kafka-topics.sh) class=org.apache.kafka.tools.TopicCommand ;;
    kafka-configs.sh) class=kafka.admin.ConfigCommand ;;
    kafka-consumer-groups.sh) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
    kafka-get-offsets.sh) class=org.apache.kafka.tools.GetOffsetShell ;;
    kafka-broker-api-versions.sh) class=org.apache.kafka.tools.BrokerApiVersionsCommand ;;
    *) echo "$0: no class of Kafka's is known under this name" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086  # the options are lists
exec java ${KAFKA_HEAP_OPTS:-$heap} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} ${KAFKA_OPTS:-} \
    -Dorg.slf4j.simpleLogger.defaultLogLevel="${KAFKA_SIMPLE_LOG_LEVEL:-warn}" -cp '/opt/kafka/libs/*' "$class" "$@"
