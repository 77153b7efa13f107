#include "uart.h"

#include BOARD_HEADER

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART + (offset)))
#define DATA REGISTER(0)
#define STATE REGISTER(4)
#define CONTROL REGISTER(8)
#define BAUD_DIVISOR REGISTER(16)

#define TRANSMIT_FULL 1u
#define RECEIVE_FULL 2u
/* Writing this bit clears it. */
#define RECEIVE_OVERRUN 8u
#define TRANSMIT_ENABLE 1u
#define RECEIVE_ENABLE 2u

#define BAUD 115200u

void uart_start(void) {
  BAUD_DIVISOR = BOARD_CLOCK / BAUD;
  CONTROL = TRANSMIT_ENABLE | RECEIVE_ENABLE;
}

int uart_read(void) {
  for (;;) {
    uint32_t state = STATE;
    if (state & RECEIVE_OVERRUN) {
      STATE = RECEIVE_OVERRUN;
      return -1;
    }
    if (state & RECEIVE_FULL) {
      return (int)(DATA & 0xff);
    }
  }
}

void uart_write(const char *text, size_t length) {
  for (size_t index = 0; index < length; index++) {
    while (STATE & TRANSMIT_FULL) {
    }
    DATA = (uint8_t)text[index];
  }
}

void uart_text(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') {
    length++;
  }
  uart_write(text, length);
}

void uart_decimal(uint32_t number) {
  char digits[10];
  size_t first = sizeof digits;
  do {
    digits[--first] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  uart_write(digits + first, sizeof digits - first);
}

void uart_hexadecimal(uint32_t number) {
  char digits[8];
  for (size_t index = sizeof digits; index > 0; index--) {
    digits[index - 1] = "0123456789abcdef"[number & 15];
    number >>= 4;
  }
  uart_write(digits, sizeof digits);
}
