# One image, two ways to it:
#   make image        puts the program that this machine built into it (stage `prebuilt`); needs no registry
#   docker build .    builds the program in a container first
# The build context of `prebuilt` is dist/image/linux-ARCH, the whole file system of the image.
ARG BUILDER_IMAGE=docker.io/library/rust:1.95-bookworm

FROM scratch AS base
USER 65532:65532
WORKDIR /
ENTRYPOINT ["./cloud-provider-equinix-metal"]

FROM base AS prebuilt
COPY . /

FROM ${BUILDER_IMAGE} AS builder
ARG VERSION=
ARG GIT_COMMIT=
ARG SOURCE_DATE_EPOCH=
WORKDIR /src
COPY . .
RUN make image-root

FROM base
COPY --from=builder /src/dist/image/root /
