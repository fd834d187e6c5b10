#!/bin/sh
# Bazel wants this target to exist; coverage figures come from gcovr.
exit 0
