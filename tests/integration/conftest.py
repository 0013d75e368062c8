"""The brokers, for the tests that use them."""

from brokers import kafka_url, rabbitmq_server

__all__ = ["kafka_url", "rabbitmq_server"]
