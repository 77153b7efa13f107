// Marks words that look replaced: detect MODEL TEXT prints "START END PROBABILITY" per token.
#include <electra.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Free {
  void operator()(electra_model *model) const { electra_model_free(model); }
  void operator()(electra_detector *detector) const { electra_detector_free(detector); }
};
using Model = std::unique_ptr<electra_model, Free>;
using Detector = std::unique_ptr<electra_detector, Free>;

void check(electra_status status) {
  if (status != ELECTRA_STATUS_OK) {
    throw std::runtime_error(electra_last_error());
  }
}

Model open_model(const char *path) {
  electra_model *model = nullptr;
  check(electra_model_open(path, &model));
  return Model(model);
}

Detector make_detector(const Model &model) {
  electra_detector *detector = nullptr;
  check(electra_detector_new(model.get(), nullptr, &detector));
  return Detector(detector);
}

std::vector<electra_token> detect(const Detector &detector, const std::string &text) {
  // A text has at most as many tokens as bytes.
  std::vector<electra_token> tokens(text.size());
  std::size_t count = 0;
  check(electra_detect(detector.get(), text.data(), text.size(), tokens.data(), tokens.size(), &count));
  tokens.resize(count);
  return tokens;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL TEXT\n", argv[0]);
    return 2;
  }
  try {
    const Model model = open_model(argv[1]);
    const Detector detector = make_detector(model);
    for (const electra_token &token : detect(detector, argv[2])) {
      std::printf("%zu %zu %.4f\n", token.start, token.end, token.probability);
    }
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
