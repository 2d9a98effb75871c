#!/bin/sh
# Makes configure and Makefile.in from their sources; needed after a checkout only.
set -e
cd "$(dirname "$0")"
mkdir -p build-aux m4
autoreconf --install --force
