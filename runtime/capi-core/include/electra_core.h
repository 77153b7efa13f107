#ifndef ELECTRA_CORE_H
#define ELECTRA_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called when the library finds an error in itself. The program defines it; it must not return.
 * `message` has `length` bytes and no NUL at its end. */
#if defined(__cplusplus)
extern "C"
#endif
void electra_core_panic(const char *message, size_t length);


/*
 Number of bytes of an engine. Its memory begins at a multiple of 8.
 */
#define ELECTRA_CORE_ENGINE_BYTES 1024

/*
 The arena begins at a multiple of this number.
 */
#define ELECTRA_CORE_ARENA_ALIGNMENT 64

/*
 Number of bytes of a message, with the NUL at its end.
 */
#define ELECTRA_CORE_MESSAGE_BYTES 128

/*
 Result of a function. The numbers are those of libelectra.
 */
enum electra_core_status {
  /*
   The function succeeded.
   */
  ELECTRA_CORE_STATUS_OK = 0,
  /*
   An argument is NULL where it must not be, or out of range.
   */
  ELECTRA_CORE_STATUS_ARGUMENT = 1,
  /*
   The model is damaged, has another version, or is not aligned to 4 bytes.
   */
  ELECTRA_CORE_STATUS_MODEL = 3,
  /*
   The arena or the memory of the engine is too small, or not aligned.
   */
  ELECTRA_CORE_STATUS_MEMORY = 4,
  /*
   The text is not UTF-8, or is too long.
   */
  ELECTRA_CORE_STATUS_TEXT = 5,
  /*
   A run failed, for example because a logit is not finite.
   */
  ELECTRA_CORE_STATUS_RUN = 6,
};

/*
 A model that is ready to run. One thread or interrupt may use it at a time. It must not be
 moved. Nothing has to be freed.
 */
struct electra_core_engine;

/*
 An error. Functions that can fail take a pointer to one, which may be NULL, and write it only if
 they fail.
 */
struct electra_core_error {
  /*
   The status that the function returns.
   */
  enum electra_core_status status;
  /*
   A message in English, which ends with a NUL. A message that is too long is cut.
   */
  char message[ELECTRA_CORE_MESSAGE_BYTES];
};

/*
 The bytes of a text from which a token comes.
 */
struct electra_core_span {
  /*
   The first byte.
   */
  uint32_t start;
  /*
   The byte after the last one.
   */
  uint32_t end;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Computes the size of the arena in bytes for sequences of up to `max_tokens` tokens, which are at
 most the positions of the model. Checks the whole model, so call it once, or note the result
 when the program is built: `electra footprint` prints the same number.

 # Safety
 `model` is NULL or points to `model_bytes` bytes. `size` is NULL or valid for writing. `error`
 is NULL or valid for writing.
 */
enum electra_core_status electra_core_arena_bytes(const uint8_t *model,
                                                  size_t model_bytes,
                                                  size_t max_tokens,
                                                  size_t *size,
                                                  struct electra_core_error *error);

/*
 Makes an engine in `memory`. Checks the whole model.

 `model` begins with a model file, at a multiple of 4, for example in flash; bytes after the file
 are ignored. `arena` begins at a multiple of ELECTRA_CORE_ARENA_ALIGNMENT and has at least the
 size that electra_core_arena_bytes() computes. A longest sequence of `max_tokens` tokens
 includes the two special tokens. On success `*engine` is the engine, at the address of `memory`.

 # Safety
 `memory` is NULL or has `memory_bytes` bytes, `arena` is NULL or has `arena_size` bytes, and
 both are used for nothing else as long as the engine is used. `model` is NULL or has
 `model_bytes` bytes that do not change as long as the engine is used. `engine` and `error` are
 NULL or valid for writing.
 */
enum electra_core_status electra_core_engine_init(uint8_t *memory,
                                                  size_t memory_bytes,
                                                  const uint8_t *model,
                                                  size_t model_bytes,
                                                  uint8_t *arena,
                                                  size_t arena_size,
                                                  size_t max_tokens,
                                                  struct electra_core_engine **engine,
                                                  struct electra_core_error *error);

/*
 Runs one sequence of token ids as electra_core_tokenize() writes them. On success `*logits`
 points to `*logit_count` numbers: one per label, or one per token for a detector of replaced
 words. They lie in the arena and are valid until the next run.

 # Safety
 `engine` is NULL or an engine. `ids` is NULL or has `count` ids. `logits`, `logit_count` and
 `error` are NULL or valid for writing.
 */
enum electra_core_status electra_core_run(struct electra_core_engine *engine,
                                          const uint16_t *ids,
                                          size_t count,
                                          const float **logits,
                                          size_t *logit_count,
                                          struct electra_core_error *error);

/*
 Returns a label of the model, in UTF-8 and without a NUL at its end, and writes its length in
 bytes to `*length`. Returns NULL if there is no label of this index.

 # Safety
 `engine` is NULL or an engine. `length` is NULL or valid for writing.
 */
const char *electra_core_label(const struct electra_core_engine *engine,
                               size_t index,
                               size_t *length);

/*
 Writes the threshold of a label in the model file to `*threshold`: a number from 0 to 1, and 0
 if the file has none. If the score of the likeliest label is lower than its threshold, the
 answer is `UNSURE`. Read the thresholds once, before the first run.

 # Safety
 `engine` is NULL or an engine. `threshold` and `error` are NULL or valid for writing.
 */
enum electra_core_status electra_core_threshold(const struct electra_core_engine *engine,
                                                size_t index,
                                                float *threshold,
                                                struct electra_core_error *error);

/*
 Returns the number of labels; 0 for a detector of replaced words.

 # Safety
 `engine` is NULL or an engine.
 */
size_t electra_core_label_count(const struct electra_core_engine *engine);

/*
 Returns a number that tells models apart: the checksum in the header of the model file.

 # Safety
 `engine` is NULL or an engine.
 */
uint32_t electra_core_fingerprint(const struct electra_core_engine *engine);

/*
 Returns the name of the kernels for the processor that the library was built for, without a NUL
 at its end, and writes its length in bytes to `*length`.

 # Safety
 `length` is NULL or valid for writing.
 */
const char *electra_core_kernels(size_t *length);

/*
 A function of the program, which the header declares.
 */
extern void electra_core_panic(const char *message, size_t length);

/*
 Computes the probability of each label from `count` logits, and the index of the likeliest one.
 The probabilities add up to 1 and are those of libelectra, bit for bit.

 # Safety
 `logits` is NULL or has `count` numbers. `scores` is NULL or has room for `count` numbers.
 `best` and `error` are NULL or valid for writing.
 */
enum electra_core_status electra_core_scores(const float *logits,
                                             size_t count,
                                             float *scores,
                                             size_t *best,
                                             struct electra_core_error *error);

/*
 Returns the probability, from 0 to 1, that a token was replaced, for its logit of a detector.
 */
float electra_core_probability(float logit);

/*
 Returns whether a token was more likely replaced than not, for its logit of a detector.
 */
bool electra_core_is_replaced(float logit);

/*
 Writes the token ids of a text of `length` bytes in UTF-8, with the two special tokens, to
 `ids`. If the text has more tokens than `capacity`, the first ones are kept and `*truncated` is
 true. `truncated` may be NULL. `capacity` is usually the `max_tokens` of the engine.

 # Safety
 `engine` is NULL or an engine. `text` is NULL or has `length` bytes. `ids` is NULL or has room
 for `capacity` ids. `count`, `truncated` and `error` are NULL or valid for writing.
 */
enum electra_core_status electra_core_tokenize(const struct electra_core_engine *engine,
                                               const char *text,
                                               size_t length,
                                               uint16_t *ids,
                                               size_t capacity,
                                               size_t *count,
                                               bool *truncated,
                                               struct electra_core_error *error);

/*
 Writes the places of the tokens of a text to `spans`: that of id 1 first, because id 0 is a
 special token. If the text has more than `capacity` tokens, only the first ones are written.

 # Safety
 `engine` is NULL or an engine. `text` is NULL or has `length` bytes. `spans` is NULL or has room
 for `capacity` spans. `count` and `error` are NULL or valid for writing.
 */
enum electra_core_status electra_core_token_spans(const struct electra_core_engine *engine,
                                                  const char *text,
                                                  size_t length,
                                                  struct electra_core_span *spans,
                                                  size_t capacity,
                                                  size_t *count,
                                                  struct electra_core_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ELECTRA_CORE_H */
