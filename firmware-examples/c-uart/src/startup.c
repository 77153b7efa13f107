#include "startup.h"

#include "semihosting.h"
#include "uart.h"

int main(void);

/* Only the addresses of these symbols are meaningful. board.x and sections.ld define them. */
extern uint32_t _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint32_t _data_load[];
extern uint32_t _stack_region_start[], _stack_region_end[];

#define PAINT 0xa5a55a5au
#define SYSTEM(address) (*(volatile uint32_t *)(address))

_Noreturn void stop(const char *reason, int status) {
  uart_start();
  uart_text("stopped: ");
  uart_text(reason);
  uart_text("\r\n");
  semihosting_exit(status);
}

/* Makes an overflow of the stack a fault, where it would overwrite other memory. */
static void guard_stack(void) {
#if __ARM_ARCH >= 8
  /* The limit of the main stack (Armv8-M, B3.8). */
  __asm volatile("msr msplim, %0" : : "r"(_stack_region_start));
#else
  /* The memory protection unit forbids all access to the 16 MiB below the stack (Armv7-M, B3.5). */
  SYSTEM(0xe000ed9cu) = ((uint32_t)_stack_region_start - (16u << 20)) | 1u << 4;
  SYSTEM(0xe000eda0u) = 1u | 23u << 1 | 1u << 28;
  SYSTEM(0xe000ed94u) = 1u | 1u << 2;
  __asm volatile("dsb\n isb");
#endif
}

/* Paints the stack below this frame, with a margin for the frame itself. */
static void paint_stack(void) {
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  for (volatile uint32_t *word = _stack_region_start; word < here - 64; word++) {
    *word = PAINT;
  }
}

uint32_t stack_high_water(void) {
  const volatile uint32_t *word = _stack_region_start;
  while (word < _stack_region_end && *word == PAINT) {
    word++;
  }
  return (uint32_t)((uintptr_t)_stack_region_end - (uintptr_t)word);
}

uint32_t stack_size(void) {
  return (uint32_t)((uintptr_t)_stack_region_end - (uintptr_t)_stack_region_start);
}

_Noreturn void reset(void) {
  /* Enables the floating-point unit (Armv7-M, B3.2.20), before code that may use it. */
  SYSTEM(0xe000ed88u) |= 0xfu << 20;
  __asm volatile("dsb\n isb");
  guard_stack();
  paint_stack();
  const uint32_t *from = _data_load;
  for (volatile uint32_t *to = _data_start; to < _data_end; to++) {
    *to = *from++;
  }
  for (volatile uint32_t *to = _bss_start; to < _bss_end; to++) {
    *to = 0;
  }
  semihosting_exit(main());
}

/* The stack may have caused the fault, so the handler starts with an empty one. */
__attribute__((naked)) static void fault(void) {
  __asm volatile("ldr r0, =_stack_start\n msr msp, r0\n b report_fault");
}

__attribute__((used)) static _Noreturn void report_fault(void) { stop("hard fault", STATUS_FAULT); }

/* Called by the library when it finds an error in itself. */
_Noreturn void electra_core_panic(const char *message, size_t length) {
  uart_start();
  uart_write(message, length);
  uart_text("\r\n");
  stop("panic", STATUS_PANIC);
}

extern uint32_t _stack_start[];

/* Initial stack pointer, then reset, NMI, hard fault, and the other exceptions of the system. The
 * program enables no interrupts. */
__attribute__((section(".vector_table"), used)) static const void *const vector_table[16] = {
    _stack_start,       (void *)reset,      (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault,      (void *)fault,      0,             0,             0,             (void *)fault,
    (void *)fault,      0,                  (void *)fault, (void *)fault,
};
