#!/bin/bash
# mutants_test.sh MUTANTS -- planted bugs are noticed, each by a checker that is named.
exec "$1" --quick
