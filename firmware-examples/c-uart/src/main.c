/* Reads lines of text from the UART and answers each with a line `LABEL score`, or `UNSURE score`
 * if the score is below the label's threshold in the model file, as the example sentiment-uart in
 * Rust does.
 *
 * The answer to a line that starts with `?` also has the bits of the logits, the number of tokens,
 * the clock ticks of the run, and the most bytes of stack used so far. Ctrl-D ends the session. */
#include <electra_core.h>

#include BOARD_HEADER
#include "startup.h"
#include "uart.h"

/* Longest sequence in tokens, with the two special tokens. Longer lines are cut. */
#define MAX_TOKENS 64
/* `electra footprint --max-tokens 64` prints this number. If a model needs more, making the engine
 * fails with an error that names the size. */
#define ARENA_BYTES 161472
#define MAX_LABELS 8
#define MAX_LINE_BYTES 512
#define END_OF_TRANSMISSION 0x04

__attribute__((section(".arena"), aligned(ELECTRA_CORE_ARENA_ALIGNMENT))) static uint8_t
    arena[ARENA_BYTES];
static _Alignas(8) uint8_t engine_memory[ELECTRA_CORE_ENGINE_BYTES];
/* The smallest score of each label, from the model file. */
static float thresholds[MAX_LABELS];

/* External memory that begins with the model file; board.x defines its bounds. */
extern const uint8_t _model_start[], _model_end[];

static uint32_t ticks(void) { return *(volatile uint32_t *)BOARD_COUNTER; }

static void refuse(const char *reason) {
  uart_text("refused: ");
  uart_text(reason);
  uart_text("\r\n");
}

/* Writes a probability with four decimals. Integers need less code than printing a float. */
static void write_score(float score) {
  uint32_t steps = (uint32_t)((double)score * 10000.0 + 0.5);
  uart_decimal(steps / 10000);
  uart_text(".");
  for (uint32_t digit = 1000; digit > 0; digit /= 10) {
    uart_decimal(steps / digit % 10);
  }
}

static void answer(struct electra_core_engine *engine, const char *line, size_t length) {
  static uint16_t ids[MAX_TOKENS];
  struct electra_core_error error;
  bool detailed = length > 0 && line[0] == '?';
  size_t skipped = detailed ? 1 : 0;
  size_t tokens, labels, best, label_length;
  bool truncated;
  const float *logits;
  float scores[MAX_LABELS];

  if (electra_core_tokenize(engine, line + skipped, length - skipped, ids, MAX_TOKENS, &tokens,
                            &truncated, &error) != ELECTRA_CORE_STATUS_OK) {
    refuse(error.message);
    return;
  }
  uint32_t before = ticks();
  if (electra_core_run(engine, ids, tokens, &logits, &labels, &error) != ELECTRA_CORE_STATUS_OK) {
    stop(error.message, STATUS_RUN);
  }
  uint32_t duration = ticks() - before;
  if (electra_core_scores(logits, labels, scores, &best, &error) != ELECTRA_CORE_STATUS_OK) {
    stop(error.message, STATUS_RUN);
  }
  if (scores[best] < thresholds[best]) {
    uart_text("UNSURE");
  } else {
    const char *label = electra_core_label(engine, best, &label_length);
    uart_write(label, label_length);
  }
  uart_text(" ");
  write_score(scores[best]);
  if (truncated) {
    uart_text(" (first ");
    uart_decimal(MAX_TOKENS);
    uart_text(" tokens)");
  }
  if (detailed) {
    for (size_t index = 0; index < labels; index++) {
      /* The bits of a float, without a cast that C does not permit. */
      union {
        float number;
        uint32_t bits;
      } logit = {.number = logits[index]};
      uart_text(index == 0 ? " logits=" : ",");
      uart_hexadecimal(logit.bits);
    }
    uart_text(" tokens=");
    uart_decimal((uint32_t)tokens);
    uart_text(" ticks=");
    uart_decimal(duration);
    uart_text(" stack=");
    uart_decimal(stack_high_water());
    uart_text("/");
    uart_decimal(stack_size());
  }
  uart_text("\r\n");
}

/* Answers lines until Ctrl-D. A line ends with LF, CR or both. Empty lines are skipped. */
static void serve(struct electra_core_engine *engine) {
  static char line[MAX_LINE_BYTES];
  size_t length = 0;
  const char *problem = NULL;
  for (;;) {
    int byte = uart_read();
    if (byte == END_OF_TRANSMISSION) {
      return;
    }
    if (byte == '\n' || byte == '\r') {
      if (problem != NULL) {
        refuse(problem);
      } else if (length > 0) {
        answer(engine, line, length);
      }
      length = 0;
      problem = NULL;
    } else if (byte < 0) {
      problem = "line: bytes were lost";
    } else if (length == MAX_LINE_BYTES) {
      problem = "line: more than 512 bytes";
    } else {
      line[length++] = (char)byte;
    }
  }
}

int main(void) {
  struct electra_core_engine *engine;
  struct electra_core_error error;
  size_t model_bytes = (size_t)((uintptr_t)_model_end - (uintptr_t)_model_start);
  size_t kernels_length;

  uart_start();
  enum electra_core_status status =
      electra_core_engine_init(engine_memory, sizeof engine_memory, _model_start, model_bytes, arena,
                               sizeof arena, MAX_TOKENS, &engine, &error);
  if (status != ELECTRA_CORE_STATUS_OK) {
    stop(error.message, status == ELECTRA_CORE_STATUS_MODEL ? STATUS_MODEL : STATUS_RUN);
  }
  size_t labels = electra_core_label_count(engine);
  if (labels < 2 || labels > MAX_LABELS) {
    stop("model: no classification head with two to eight labels", STATUS_MODEL);
  }
  for (size_t index = 0; index < labels; index++) {
    if (electra_core_threshold(engine, index, &thresholds[index], &error) != ELECTRA_CORE_STATUS_OK) {
      stop(error.message, STATUS_MODEL);
    }
  }
  const char *kernels = electra_core_kernels(&kernels_length);
  uart_text("ready: " BOARD_NAME ", ");
  uart_decimal(BOARD_CLOCK);
  uart_text(" ticks per second, model ");
  uart_hexadecimal(electra_core_fingerprint(engine));
  uart_text(", kernels ");
  uart_write(kernels, kernels_length);
  uart_text("\r\n");
  serve(engine);
  return STATUS_OK;
}
