/* Arm's APB UART of the Cortex-M System Design Kit. */
#ifndef UART_H
#define UART_H

#include <stddef.h>
#include <stdint.h>

/* Enables the UART with 115,200 baud. It may be called twice. */
void uart_start(void);

/* Waits for a byte and returns it, or returns -1 if a byte was lost. */
int uart_read(void);

void uart_write(const char *text, size_t length);

/* Writes a text that ends with a NUL. */
void uart_text(const char *text);

void uart_decimal(uint32_t number);

/* Writes eight hexadecimal digits. */
void uart_hexadecimal(uint32_t number);

#endif
