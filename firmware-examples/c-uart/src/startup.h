/* The start of the program, and its end after a fault. */
#ifndef STARTUP_H
#define STARTUP_H

#include <stdint.h>

/* Exit statuses, those of the examples in Rust. */
#define STATUS_OK 0
#define STATUS_MODEL 2
#define STATUS_RUN 3
#define STATUS_PANIC 101
#define STATUS_FAULT 102

/* Prints the reason and ends the program. */
_Noreturn void stop(const char *reason, int status);

/* Returns the most bytes of the stack that were in use at once, and its size. */
uint32_t stack_high_water(void);
uint32_t stack_size(void);

#endif
