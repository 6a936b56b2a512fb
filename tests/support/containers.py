"""The content of Dockerfile and docker-compose.yml; `OURS` are the services that run Swarna itself."""

from typing import Any

import yaml

from tests.support.product import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
