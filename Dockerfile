# One image for web, worker and beat: docker-compose.yml has the command of each.
FROM python:3.13-slim

# Byte code is compiled in the build: the user that runs it may not write here.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SWARNA_STATE_DIR=/home/swarna/state \
    BIND_ADDRESS=0.0.0.0

# Python's image has no byte code of the standard library, of which each health check loads much.
RUN python -m compileall -q -x site-packages "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# A volume takes its owner from the folder that it is mounted on.
RUN useradd --create-home --uid 10001 swarna \
    && install --directory --owner=swarna --group=swarna --mode=700 /home/swarna/state
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY manage.py .
COPY swarna swarna
COPY accounts accounts
COPY clients/js/README.md clients/js/README.md
COPY clients/js/client clients/js/client
COPY clients/python/README.md clients/python/README.md
COPY docs/api.md docs/api.md
COPY docs/checkout.py docs/checkout.py
COPY docs/developers.md docs/developers.md
COPY docs/examples docs/examples
COPY docs/protocol.md docs/protocol.md
COPY docs/verifying.md docs/verifying.md
COPY docs/widgets.md docs/widgets.md
COPY infra infra
COPY locale locale
COPY locks locks
COPY pages pages
COPY prices prices
COPY signing signing
COPY streaming streaming
COPY templates templates
RUN python -m compileall -q .

USER 10001
EXPOSE 3001
CMD ["python", "manage.py", "serve"]
