# Builds Hookkeeper and nothing else: one static binary, no shell, no user but its own.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/hookkeeper . \
 && mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /out/hookkeeper /hookkeeper
# The volume starts as a copy of this folder: it must belong to the user of the process.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV HOOKKEEPER_ADDR=:8080 HOOKKEEPER_DATA=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["/hookkeeper", "healthcheck"]
ENTRYPOINT ["/hookkeeper"]
CMD ["serve"]
