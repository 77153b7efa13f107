/* Arm's MPS2 board with a Cortex-M33, as in application note AN505, in the secure state. */
#ifndef BOARD_H
#define BOARD_H

#define BOARD_NAME "mps2-an505"
/* Clock of the UARTs and of the counter, in Hz. */
#define BOARD_CLOCK 20000000u
#define BOARD_UART 0x50200000u
/* A register that counts the cycles of the board's clock. */
#define BOARD_COUNTER 0x50302018u

#endif
