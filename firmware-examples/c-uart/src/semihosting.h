/* Semihosting: calls that a debugger or an emulator answers. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

/* Ends the program with an exit status. */
_Noreturn void semihosting_exit(int status);

#endif
