// Opens the quickstart's base model, loads two adapters, switches, generates.
// usage: switch_adapters BASE ADAPTERS
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "peft_c/peft.hpp"

namespace {

// The character that each token of this model stands for.
constexpr char kText[] =
    "???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM";

// Prints how the active adapter writes 1987.
peft::Status Answer(peft::Session& session, const std::string& name) {
  // <bos> 1 9 8 7 =
  const std::vector<std::int64_t> prompt = {1, 4, 12, 11, 10, 13};
  peft::GenerateOptions options;
  options.max_new_tokens = 64;
  auto result = session.Generate({prompt}, options);
  if (!result) return std::move(result).status();
  const auto tokens = result->Tokens(0);
  std::string text;
  // The last one ends the row.
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) text += kText[tokens[i]];
  std::printf("%s: %s\n", name.c_str(), text.c_str());
  return {};
}

peft::Status Run(const std::string& base, const std::string& adapters) {
  auto model = peft::Model::Open(base);
  if (!model) return std::move(model).status();
  auto session = peft::Session::Create(*model);
  if (!session) return std::move(session).status();
  if (auto status = Answer(*session, "base"); !status) return status;
  for (const std::string name : {"german", "roman"}) {
    auto status = model->LoadAdapter(name, adapters + "/" + name);
    if (status) status = Answer(*session, name);
    if (!status) return status;
  }
  auto status = model->SetAdapter({"german"});
  if (status) status = Answer(*session, "german");
  if (status) status = model->DisableAdapters();
  if (status) status = Answer(*session, "base");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const peft::Status status = Run(argv[1], argv[2]);
  if (status) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
