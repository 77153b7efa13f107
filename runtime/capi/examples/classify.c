/* Classifies texts: classify MODEL TEXT... prints a line "LABEL SCORE" per text. */
#include <electra.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, electra_last_error());
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL TEXT...\n", argv[0]);
    return 2;
  }
  if (electra_abi_version() != ELECTRA_ABI_VERSION) {
    fprintf(stderr, "libelectra has another binary interface than electra.h\n");
    return 1;
  }

  struct electra_model *model = NULL;
  if (electra_model_open(argv[1], &model) != ELECTRA_STATUS_OK) {
    return fail("model");
  }

  /* Sequences of up to 128 tokens; longer texts are processed in windows. */
  struct electra_options options;
  electra_options_init(&options);
  options.max_tokens = 128;

  struct electra_classifier *classifier = NULL;
  int status = 0;
  if (electra_classifier_new(model, &options, &classifier) != ELECTRA_STATUS_OK) {
    status = fail("classifier");
  }
  for (int i = 2; status == 0 && i < argc; i++) {
    struct electra_answer answer;
    if (electra_classify(classifier, argv[i], strlen(argv[i]), &answer) != ELECTRA_STATUS_OK) {
      status = fail("text");
    } else {
      printf("%s %.4f\n", answer.label, answer.score);
    }
  }

  electra_classifier_free(classifier);
  electra_model_free(model);
  return status;
}
