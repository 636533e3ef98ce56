"""Gateway events to the topic: what a usage event is, adapters, outbox, publisher."""
