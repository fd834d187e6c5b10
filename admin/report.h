/*
 * admin/report -- what the tool says to people: refusals and failures on standard error, numbers
 * that can be read.
 */
#ifndef TORC_ADMIN_REPORT_H
#define TORC_ADMIN_REPORT_H

#include <stddef.h>
#include <stdint.h>

/* "torc-admin: TEXT" on standard error. Return the exit status: 1, something did not work; 2, the
 * command line or a file was wrong and nothing was done. */
int admin_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int admin_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { ADMIN_NUMBER_SIZE = 32 };

/* 1234567 -> "1,234,567", written into buffer, which is returned. */
const char *admin_count(uint64_t count, char buffer[ADMIN_NUMBER_SIZE]);
/* 1572864 -> "1.5 MiB". */
const char *admin_bytes(uint64_t bytes, char buffer[ADMIN_NUMBER_SIZE]);
/* 95000 -> "1 min 35 s"; 1500 -> "1.5 s". */
const char *admin_duration(uint64_t ms, char buffer[ADMIN_NUMBER_SIZE]);

/* CLOCK_MONOTONIC. */
uint64_t admin_now_ms(void);
/* Waits; ends early when a signal comes. */
void admin_sleep_ms(unsigned ms);

#endif /* TORC_ADMIN_REPORT_H */
