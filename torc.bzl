"""Compiler options shared by all pure cores."""

# Cores are ISO C: -std=c11 keeps POSIX (clocks, sockets, files, threads) out of reach at compile time.
TORC_CORE_COPTS = ["-std=c11", "-U_GNU_SOURCE", "-pedantic-errors"]
