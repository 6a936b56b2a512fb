"""Django's settings for the textbook server, which is a project of its own."""

import os
from typing import Any

SECRET_KEY = "nothing is signed here"  # noqa: S105  (a server of the bench)
INSTALLED_APPS = ["channels"]
ALLOWED_HOSTS = ["127.0.0.1"]
PAYLOADS = os.environ["BENCH_PAYLOADS"]
REDIS_URL = os.environ.get("BENCH_REDIS_URL")
CHANNEL_LAYERS: dict[str, Any] = (
    {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}}
    if REDIS_URL
    else {}
)
