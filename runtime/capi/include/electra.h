#ifndef ELECTRA_H
#define ELECTRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 Version of the binary interface. It changes when programs must be compiled again.
 */
#define ELECTRA_ABI_VERSION 1

/*
 Result of a function. The message of an error is returned by electra_last_error().
 */
enum electra_status {
  /*
   The function succeeded.
   */
  ELECTRA_STATUS_OK = 0,
  /*
   An argument is NULL where it must not be, or out of range.
   */
  ELECTRA_STATUS_ARGUMENT = 1,
  /*
   A file could not be opened.
   */
  ELECTRA_STATUS_FILE = 2,
  /*
   The model is damaged, has another version or the wrong head.
   */
  ELECTRA_STATUS_MODEL = 3,
  /*
   The arena is too small, or memory could not be allocated.
   */
  ELECTRA_STATUS_MEMORY = 4,
  /*
   The text is not UTF-8, or is too long.
   */
  ELECTRA_STATUS_TEXT = 5,
  /*
   A run failed, for example because a logit is not finite.
   */
  ELECTRA_STATUS_RUN = 6,
  /*
   The system refused a resource, for example a thread.
   */
  ELECTRA_STATUS_SYSTEM = 7,
  /*
   There is an error in this library.
   */
  ELECTRA_STATUS_INTERNAL = 8,
};

/*
 Classifies texts. It owns all the memory that it needs, so a call of electra_classify()
 allocates nothing after the first one. One thread may use it at a time; make one classifier per
 thread.
 */
struct electra_classifier;

/*
 Finds tokens of a text that look replaced. It owns all the memory that it needs, so a call of
 electra_detect() allocates nothing after the first one. One thread may use it at a time; make
 one detector per thread.
 */
struct electra_detector;

/*
 An opened model. Several classifiers and detectors can share it, in several threads.
 */
struct electra_model;

/*
 Options of a classifier or a detector. electra_options_init() sets the defaults; after it,
 change single members.
 */
struct electra_options {
  /*
   Size of this structure in bytes. electra_options_init() sets it.
   */
  size_t struct_size;
  /*
   Longest sequence in tokens, with the two special tokens. 0 stands for the positions of the
   model. Longer texts are processed in overlapping windows.
   */
  size_t max_tokens;
  /*
   Size of the arena in bytes. 0 stands for exactly the size that is needed. A smaller arena is
   refused.
   */
  size_t arena_bytes;
  /*
   Number of threads that share each run, 1 to 8. 0 stands for 1.
   */
  size_t threads;
  /*
   Name of the kernels, for example "avx2" or "scalar". NULL stands for the fastest ones.
   */
  const char *kernels;
  /*
   Whether a classifier cuts long texts instead of processing windows.
   */
  bool truncate;
  /*
   Labels that are never the answer of a classifier: `without_count` strings.
   */
  const char *const *without;
  /*
   Number of strings in `without`.
   */
  size_t without_count;
  /*
   Smallest score of an answer, from 0 to 1: if the likeliest label of a text has a lower
   score, the answer of a classifier is "UNSURE". A negative number stands for the thresholds
   in the model file.
   */
  float min_score;
};

/*
 The answer to a text.
 */
struct electra_answer {
  /*
   The likeliest label, in UTF-8, or "UNSURE". The string is valid until the classifier is
   freed.
   */
  const char *label;
  /*
   Index of the likeliest label among those of electra_classifier_label().
   */
  size_t label_index;
  /*
   Probability of the likeliest label, from 0 to 1.
   */
  float score;
  /*
   Whether the score is too low for an answer. The label is "UNSURE" then.
   */
  bool unsure;
  /*
   Number of tokens of the text that were processed, without the two special tokens.
   */
  size_t tokens;
  /*
   Number of windows that were processed; 1 unless the text is long.
   */
  size_t windows;
  /*
   Whether the text was cut.
   */
  bool truncated;
};

/*
 The verdict on a token.
 */
struct electra_token {
  /*
   Offset of the token's first byte in the text.
   */
  size_t start;
  /*
   Offset after the token's last byte.
   */
  size_t end;
  /*
   Probability that the token was replaced, from 0 to 1.
   */
  float probability;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Makes a classifier. `options` may be NULL, which stands for the defaults. On success
 `*classifier` is the classifier, which electra_classifier_free() frees.

 # Safety
 `model` is NULL or a model. `options` is NULL or points to valid options. `classifier` is NULL
 or valid for writing.
 */
enum electra_status electra_classifier_new(const struct electra_model *model,
                                           const struct electra_options *options,
                                           struct electra_classifier **classifier);

/*
 Frees a classifier. NULL is ignored.

 # Safety
 `classifier` is NULL or a classifier that was not freed yet.
 */
void electra_classifier_free(struct electra_classifier *classifier);

/*
 Classifies a text of `length` bytes in UTF-8. The text need not end with a NUL. A text that is
 longer than the longest sequence is processed in overlapping windows, whose probabilities are
 averaged.

 # Safety
 `classifier` is NULL or a classifier that no other thread uses. `content` is NULL or points to
 `length` bytes. `answer` is NULL or valid for writing.
 */
enum electra_status electra_classify(struct electra_classifier *classifier,
                                     const char *content,
                                     size_t length,
                                     struct electra_answer *answer);

/*
 Returns the number of labels that can be answers of a classifier.

 # Safety
 `classifier` is NULL or a classifier.
 */
size_t electra_classifier_label_count(const struct electra_classifier *classifier);

/*
 Returns a label that can be an answer, in UTF-8, or NULL if there is no label of this index. The
 string is valid until the classifier is freed.

 # Safety
 `classifier` is NULL or a classifier.
 */
const char *electra_classifier_label(const struct electra_classifier *classifier, size_t index);

/*
 Returns the probabilities of all labels for the last text, in the order of
 electra_classifier_label(). They add up to 1. The array is valid until the next call of
 electra_classify() for this classifier.

 # Safety
 `classifier` is NULL or a classifier.
 */
const float *electra_classifier_scores(const struct electra_classifier *classifier);

/*
 Returns the size of the classifier's arena in bytes.

 # Safety
 `classifier` is NULL or a classifier.
 */
size_t electra_classifier_arena_bytes(const struct electra_classifier *classifier);

/*
 Makes a detector. `options` may be NULL, which stands for the defaults. On success `*detector`
 is the detector, which electra_detector_free() frees.

 # Safety
 `model` is NULL or a model. `options` is NULL or points to valid options. `detector` is NULL or
 valid for writing.
 */
enum electra_status electra_detector_new(const struct electra_model *model,
                                         const struct electra_options *options,
                                         struct electra_detector **detector);

/*
 Frees a detector. NULL is ignored.

 # Safety
 `detector` is NULL or a detector that was not freed yet.
 */
void electra_detector_free(struct electra_detector *detector);

/*
 Judges every token of a text of `length` bytes in UTF-8. The text need not end with a NUL. A
 token with a probability above 0.5 counts as replaced.

 The verdicts of the first `capacity` tokens are written to `tokens`, and `*count` is the number
 of all tokens. A text has at most as many tokens as bytes.

 # Safety
 `detector` is NULL or a detector that no other thread uses. `content` is NULL or points to
 `length` bytes. `tokens` is NULL or valid for writing `capacity` verdicts. `count` is NULL or
 valid for writing.
 */
enum electra_status electra_detect(struct electra_detector *detector,
                                   const char *content,
                                   size_t length,
                                   struct electra_token *tokens,
                                   size_t capacity,
                                   size_t *count);

/*
 Opens a model file. It is mapped into memory and verified; the weights are not copied. The file
 must not be changed while it is open. To replace it, rename a new file over it.

 `path` is a file name in UTF-8. On success `*model` is the model, which electra_model_free()
 frees.

 # Safety
 `path` is NULL or ends with a NUL. `model` is NULL or valid for writing.
 */
enum electra_status electra_model_open(const char *path, struct electra_model **model);

/*
 Opens a model file in memory, for example one that is linked into the program. The bytes are
 verified and not copied. They must begin at a multiple of 4, and must stay valid and unchanged
 until the model and everything that was made of it are freed.

 # Safety
 `data` is NULL or points to `length` bytes that stay valid as described. `model` is NULL or
 valid for writing.
 */
enum electra_status electra_model_from_memory(const uint8_t *data,
                                              size_t length,
                                              struct electra_model **model);

/*
 Frees a model. Classifiers and detectors that were made of it stay usable. NULL is ignored.

 # Safety
 `model` is NULL or a model that was not freed yet.
 */
void electra_model_free(struct electra_model *model);

/*
 Returns the number of labels of a model; 0 for a model without a head for classification.

 # Safety
 `model` is NULL or a model.
 */
size_t electra_model_label_count(const struct electra_model *model);

/*
 Returns a label of a model, in UTF-8, or NULL if there is no label of this index. The string is
 valid until the model is freed.

 # Safety
 `model` is NULL or a model.
 */
const char *electra_model_label(const struct electra_model *model, size_t index);

/*
 Returns whether the model detects replaced tokens instead of classifying.

 # Safety
 `model` is NULL or a model.
 */
bool electra_model_is_detector(const struct electra_model *model);

/*
 Computes the size of the arena in bytes for sequences of up to `max_tokens` tokens and one
 thread. 0 stands for the positions of the model, as in electra_options. The arena is all the
 memory that a run writes.

 # Safety
 `model` is NULL or a model. `arena_size` is NULL or valid for writing.
 */
enum electra_status electra_model_arena_bytes(const struct electra_model *model,
                                              size_t max_tokens,
                                              size_t *arena_size);

/*
 Sets all options to their defaults.

 # Safety
 `options` is NULL or valid for writing.
 */
enum electra_status electra_options_init(struct electra_options *options);

/*
 Returns the message of the last error in this thread, in UTF-8, or an empty string. The string
 is valid until the next error in this thread.
 */
const char *electra_last_error(void);

/*
 Returns ELECTRA_ABI_VERSION of the library that is loaded.
 */
uint32_t electra_abi_version(void);

/*
 Returns the version of the library, for example "0.1.0".
 */
const char *electra_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ELECTRA_H */
