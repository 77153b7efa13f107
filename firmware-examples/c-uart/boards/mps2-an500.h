/* Arm's MPS2 board with a Cortex-M7, as in application note AN500. */
#ifndef BOARD_H
#define BOARD_H

#define BOARD_NAME "mps2-an500"
/* Clock of the UARTs and of the counter, in Hz. */
#define BOARD_CLOCK 25000000u
#define BOARD_UART 0x40004000u
/* A register that counts the cycles of the board's clock. */
#define BOARD_COUNTER 0x40028018u

#endif
