#!/bin/bash
# commands_document_test.sh PROGRAM FILE -- the document is what the table of commands says.
set -euo pipefail
diff -u "$2" <("$1") || {
    echo "bazel run //tests/unit/router:commands_document > docs/commands.md"
    exit 1
}
