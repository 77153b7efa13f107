/* Calls every function with wrong arguments: misuse MODEL. Exits with 0 if each call reports its
   error, and none crashes. */
#include <electra.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void expect(const char *call, enum electra_status found, enum electra_status expected,
                   const char *message) {
  if (found != expected || (message != NULL && strstr(electra_last_error(), message) == NULL)) {
    fprintf(stderr, "%s: status %d, \"%s\"; expected status %d, \"%s\"\n", call, (int)found,
            electra_last_error(), (int)expected, message);
    failures++;
  }
}

#define EXPECT(call, status, message) expect(#call, (call), ELECTRA_STATUS_##status, message)

int main(int argc, char **argv) {
  if (argc != 2) {
    return 2;
  }
  struct electra_model *model = NULL;
  struct electra_classifier *classifier = NULL;
  struct electra_detector *detector = NULL;
  struct electra_options options;
  struct electra_answer answer;
  size_t size = 0;

  EXPECT(electra_model_open(NULL, &model), ARGUMENT, "path is NULL");
  EXPECT(electra_model_open(argv[1], NULL), ARGUMENT, "model is NULL");
  EXPECT(electra_model_open("no/such/file", &model), FILE, "no/such/file");
  EXPECT(electra_model_open("/", &model), FILE, "a directory");
  EXPECT(electra_model_open("\xff", &model), ARGUMENT, "byte 0 is not UTF-8");
  EXPECT(electra_model_from_memory(NULL, 5, &model), ARGUMENT, "data is NULL");
  EXPECT(electra_model_from_memory((const uint8_t *)"ELECTRA", 8, &model), MODEL, NULL);
  EXPECT(electra_model_open(argv[1], &model), OK, NULL);

  EXPECT(electra_model_arena_bytes(NULL, 32, &size), ARGUMENT, "model is NULL");
  EXPECT(electra_model_arena_bytes(model, 32, NULL), ARGUMENT, "arena_size is NULL");
  EXPECT(electra_model_arena_bytes(model, 32, &size), OK, NULL);
  EXPECT(electra_options_init(NULL), ARGUMENT, "options is NULL");

  memset(&options, 0, sizeof options);
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "electra_options_init");
  electra_options_init(&options);
  options.max_tokens = 32;
  options.arena_bytes = size - 1;
  EXPECT(electra_classifier_new(model, &options, &classifier), MEMORY, "arena");
  options.arena_bytes = size;
  options.kernels = "no-such-kernels";
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "no-such-kernels");
  options.kernels = NULL;
  options.without_count = 1;
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "options.without is NULL");
  const char *const without[] = {"NO_SUCH_LABEL"};
  options.without = without;
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "NO_SUCH_LABEL");
  options.without_count = 0;
  options.min_score = 1.5F;
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "min_score is 1.5");
  options.min_score = 0.0F / 0.0F;
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "min_score is NaN");
  options.min_score = 1.0F;
  EXPECT(electra_classifier_new(model, &options, &classifier), OK, NULL);
  EXPECT(electra_classify(classifier, "a", 1, &answer), OK, NULL);
  if (!answer.unsure || strcmp(answer.label, "UNSURE") != 0 || answer.score >= 1.0F) {
    fprintf(stderr, "%s %f, expected UNSURE\n", answer.label, (double)answer.score);
    failures++;
  }
  electra_classifier_free(classifier);
  options.min_score = -1.0F;
  options.max_tokens = SIZE_MAX;
  EXPECT(electra_classifier_new(model, &options, &classifier), ARGUMENT, "max_tokens");
  options.max_tokens = 32;
  EXPECT(electra_detector_new(model, &options, &detector), MODEL, "replaced-token detection");
  EXPECT(electra_classifier_new(model, &options, NULL), ARGUMENT, "classifier is NULL");
  EXPECT(electra_classifier_new(model, &options, &classifier), OK, NULL);

  EXPECT(electra_classify(NULL, "a", 1, &answer), ARGUMENT, "classifier is NULL");
  EXPECT(electra_classify(classifier, NULL, 1, &answer), ARGUMENT, "text is NULL");
  EXPECT(electra_classify(classifier, "a", SIZE_MAX, &answer), ARGUMENT, "bytes, expected at most");
  EXPECT(electra_classify(classifier, "a\xff", 2, &answer), TEXT, "byte 1 is not UTF-8");
  EXPECT(electra_classify(classifier, "a", 1, NULL), ARGUMENT, "answer is NULL");
  EXPECT(electra_classify(classifier, NULL, 0, &answer), OK, NULL);
  EXPECT(electra_detect(detector, "a", 1, NULL, 0, &size), ARGUMENT, "detector is NULL");

  float sum = 0;
  for (size_t i = 0; i < electra_classifier_label_count(classifier); i++) {
    sum += electra_classifier_scores(classifier)[i];
  }
  if (sum < 0.999F || sum > 1.001F) {
    fprintf(stderr, "the scores add up to %f, expected 1\n", (double)sum);
    failures++;
  }
  if (electra_model_label(model, electra_model_label_count(model)) != NULL ||
      electra_classifier_label(NULL, 0) != NULL || electra_classifier_scores(NULL) != NULL ||
      electra_model_label_count(NULL) != 0 || electra_model_is_detector(NULL)) {
    fprintf(stderr, "a query with a wrong argument has an answer\n");
    failures++;
  }

  /* A classifier stays usable when its model was freed. */
  electra_model_free(model);
  EXPECT(electra_classify(classifier, "a", 1, &answer), OK, NULL);
  electra_classifier_free(classifier);
  electra_model_free(NULL);
  electra_classifier_free(NULL);
  electra_detector_free(NULL);
  return failures != 0;
}
