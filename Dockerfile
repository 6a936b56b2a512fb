# One image for web, worker and beat: docker-compose.yml says which command each runs.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SWARNA_STATE_DIR=/home/swarna/state \
    BIND_ADDRESS=0.0.0.0

RUN useradd --create-home --uid 10001 swarna
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY manage.py .
COPY swarna swarna
COPY accounts accounts
COPY prices prices
COPY streaming streaming
COPY templates templates

USER swarna
EXPOSE 3001
CMD ["python", "manage.py", "serve"]
